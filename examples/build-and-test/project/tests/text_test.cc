#include "text.h"

#include "check.h"

int main() {
    const auto parts = split(" a, b c ,,", ',');
    CHECK(parts.size() == 4);
    CHECK(parts[0] == "a" && parts[1] == "b c" && parts[2].empty() && parts[3].empty());
    CHECK(split("", ',').size() == 1);
    std::cout << "text: 3 checks\n";
}
