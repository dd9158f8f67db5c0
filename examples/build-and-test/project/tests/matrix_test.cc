#include "matrix.h"

#include "check.h"

int main() {
    CHECK(sums({}).empty());
    CHECK((sums({{1, 2}, {3, 4, 5}}) == Row{4, 6, 5}));
    std::cout << "matrix: 2 checks\n";
}
