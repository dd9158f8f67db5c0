#include "table.h"

#include <sstream>

#include "check.h"

int main() {
    std::istringstream with("a, b\n1, 2\n"), without("1, 2\n3, 4\n");
    CHECK((read(with) == std::vector<Row>{{1, 2}}));
    CHECK((read(without) == std::vector<Row>{{1, 2}, {3, 4}}));
    std::cout << "table: 2 checks\n";
}
