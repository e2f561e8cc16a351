#include "probe.h"

#include <qshm/dropin.h>

bool partHasQshm(const char *program)
{
    return qshm::activeImplementation() == qshm::Implementation::Qshm && ownerOfAttach() == program;
}
