#include "matrix.h"

Row sums(const std::vector<Row> &rows) {
    Row total;
    for (const Row &row : rows) {
        if (row.size() > total.size()) total.resize(row.size());
        for (std::size_t column = 0; column < row.size(); ++column) total[column] += row[column];
    }
    return total;
}
