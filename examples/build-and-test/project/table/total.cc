// total FILE: the sums of the columns of comma-separated numbers.
#include <fstream>
#include <iostream>

#include "table.h"

int main(int argc, char **argv) {
    std::ifstream in(argc > 1 ? argv[1] : "/dev/stdin");
    if (!in) {
        std::cerr << "total: cannot read " << argv[1] << "\n";
        return 1;
    }
    std::cout << "total";
    for (const double sum : sums(read(in))) std::cout << " " << sum;
    std::cout << "\n";
}
