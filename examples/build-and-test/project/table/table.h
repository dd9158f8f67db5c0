#pragma once
#include <istream>

#include "matrix.h"

/// The rows of numbers in comma-separated text; a first line that does not begin with a number is a heading.
std::vector<Row> read(std::istream &in);
