// The application's own shared library. Compiled with SILENT it knows nothing of qshm.

#include "linking.h"

EXPORTED Part partOfLibrary()
{
    return thisPart();
}

EXPORTED const char *answerOfLibrary()
{
#ifdef SILENT
    return nullptr;
#else
    return nameOf(qshm::activeImplementation());
#endif
}
