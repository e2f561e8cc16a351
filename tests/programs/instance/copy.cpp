// A plugin with a copy of the library of its own.

#include <qshm/instance.h>

#include <optional>

namespace {

std::optional<qshm::Instance> instance;

} // namespace

extern "C" __attribute__((visibility("default"))) int joinByCopy(const char *name)
{
    instance = qshm::Instance::join(name);
    return instance->exclusive() ? instance->number() : -1;
}
