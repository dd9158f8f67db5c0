#include "text.h"

static std::string trimmed(const std::string &part) {
    const auto first = part.find_first_not_of(" \t");
    if (first == std::string::npos) return "";
    return part.substr(first, part.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string> split(const std::string &line, char separator) {
    std::vector<std::string> parts;
    std::string::size_type begin = 0, end;
    while ((end = line.find(separator, begin)) != std::string::npos) {
        parts.push_back(trimmed(line.substr(begin, end - begin)));
        begin = end + 1;
    }
    parts.push_back(trimmed(line.substr(begin)));
    return parts;
}
