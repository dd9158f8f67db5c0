#pragma once
#include <vector>

using Row = std::vector<double>;

/// The sums of the columns; rows may be of different lengths.
Row sums(const std::vector<Row> &rows);
