#include <qshm/error.h>

namespace qshm {

namespace {

void replace(std::string &text, std::string_view place, std::string_view value)
{
    const std::size_t position = text.find(place);
    if (position != std::string::npos)
        text.replace(position, place.size(), value);
}

} // namespace

std::string Error::text() const
{
    std::string text(pattern);
    replace(text, "%2", std::to_string(systemError));
    replace(text, "%1", function);
    if (!detail.empty())
        text.append(" (").append(detail).append(")");
    return text;
}

} // namespace qshm
