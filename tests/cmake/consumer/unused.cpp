#include <QString>

int main()
{
    return QStringLiteral("%1").arg(7) == QStringLiteral("7") ? 0 : 1;
}
