#pragma once
#include <string>
#include <vector>

/// The parts of a line between separators; what is around them of blanks is not theirs.
std::vector<std::string> split(const std::string &line, char separator);
