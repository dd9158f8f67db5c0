#pragma once
#include <cstdlib>
#include <iostream>

#define CHECK(that)                                                                     \
    do {                                                                                \
        if (!(that)) {                                                                  \
            std::cerr << __FILE__ << ":" << __LINE__ << ": it is not so: " #that "\n"; \
            std::exit(1);                                                               \
        }                                                                               \
    } while (false)
