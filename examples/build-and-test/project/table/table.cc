#include "table.h"

#include <cstdlib>
#include <string>

#include "text.h"

std::vector<Row> read(std::istream &in) {
    std::vector<Row> rows;
    std::string line;
    for (bool first = true; std::getline(in, line); first = false) {
        Row row;
        for (const std::string &part : split(line, ',')) {
            char *end = nullptr;
            row.push_back(std::strtod(part.c_str(), &end));
            if (first && end == part.c_str()) break;
        }
        if (!first || row.size() > 1 || line.find_first_of("0123456789") == 0) rows.push_back(row);
    }
    return rows;
}
