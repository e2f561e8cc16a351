#include <qshm/error.h>

#include <cstring>

namespace qshm {

namespace {

void replace(std::string &text, std::string_view place, std::string_view value)
{
    const std::size_t position = text.find(place);
    if (position != std::string::npos)
        text.replace(position, place.size(), value);
}

std::string filledIn(std::string_view pattern, std::string_view function, int systemError)
{
    std::string text(pattern);
    const bool inWords = pattern.find("error: %2") != std::string_view::npos;
    replace(text, "%2", inWords ? std::strerror(systemError) : std::to_string(systemError));
    replace(text, "%1", function);
    return text;
}

} // namespace

std::string Error::text() const
{
    std::string text = filledIn(pattern, function, systemError);
    if (!innerPattern.empty()) {
        text = pattern;
        replace(text, "%2", filledIn(innerPattern, innerFunction, systemError));
        replace(text, "%1", function);
    }
    if (!detail.empty())
        text.append(" (").append(detail).append(")");
    return text;
}

} // namespace qshm
