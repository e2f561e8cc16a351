#include <qshm/shared_memory.h>

int main()
{
    qshm::SharedMemory memory;
    return memory.isAttached() ? 1 : 0;
}
