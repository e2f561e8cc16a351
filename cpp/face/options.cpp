#include "convert.h"

namespace qshm {

void setProcessOptions(const Options &options) noexcept
{
    bridge::set_process_options(updateOf(options));
}

void setQtVersion(std::string_view version) noexcept
{
    bridge::set_qt_version(bytesOf(version));
}

} // namespace qshm
