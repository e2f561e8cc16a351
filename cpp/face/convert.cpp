#include "convert.h"

namespace qshm {

Error errorOf(const bridge::ErrorReport &report)
{
    return { report.code,
             viewOf(report.pattern),
             viewOf(report.function),
             viewOf(report.inner_pattern),
             viewOf(report.inner_function),
             report.system_error,
             std::string(report.detail) };
}

bridge::OptionsUpdate updateOf(const Options &options) noexcept
{
    bridge::OptionsUpdate update {};
    if (options.access) {
        update.has_access = true;
        update.access = *options.access;
        update.group = options.group;
    }
    if (options.leftover) {
        update.has_leftover = true;
        update.leftover = *options.leftover;
    }
    if (options.inTheWay) {
        update.has_in_the_way = true;
        update.in_the_way = *options.inTheWay;
    }
    if (options.generation) {
        update.has_generation = true;
        update.generation = *options.generation;
    }
    if (options.lockWait) {
        update.has_lock_wait = true;
        update.lock_wait = millisecondsOf(*options.lockWait);
    }
    return update;
}

} // namespace qshm
