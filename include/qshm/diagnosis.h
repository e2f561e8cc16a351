#ifndef QSHM_DIAGNOSIS_H
#define QSHM_DIAGNOSIS_H
#include <string>
namespace qshm {
struct Diagnosis
{
    std::string text;
};
} // namespace qshm
#endif
