#pragma once
#include <string>

#include "base/json.h"

namespace hadal {

/// report.html of a prepared corpus: one file without anything from outside, made from its manifest.
std::string data_report_page(const JsonObject& manifest);

}  // namespace hadal
