// A plugin of the application, loaded with dlopen(). It is linked to Qt alone.

#include "linking.h"

extern "C" EXPORTED Part partOfPlugin()
{
    return thisPart();
}
