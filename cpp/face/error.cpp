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

std::string filledIn(std::string_view pattern, std::string_view function, std::string_view second)
{
    std::string text(pattern);
    replace(text, "%2", second);
    replace(text, "%1", function);
    return text;
}

} // namespace

std::string Error::text() const
{
    return text(pattern, innerPattern);
}

std::string Error::text(std::string_view inTheirWords, std::string_view innerInTheirWords) const
{
    const auto systemErrorFor = [this](std::string_view asInQt) {
        const bool inWords = asInQt.find("error: %2") != std::string_view::npos;
        return inWords ? std::string(std::strerror(systemError)) : std::to_string(systemError);
    };
    std::string text = innerPattern.empty()
            ? filledIn(inTheirWords, function, systemErrorFor(pattern))
            : filledIn(inTheirWords, function,
                       filledIn(innerInTheirWords, innerFunction, systemErrorFor(innerPattern)));
    if (!detail.empty())
        text.append(" (").append(detail).append(")");
    return text;
}

} // namespace qshm
