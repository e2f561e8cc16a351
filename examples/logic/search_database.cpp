#include "search_database.h"

#include <QCoreApplication>
#include <QDir>

SearchDatabase::SearchDatabase(qint32 number, const QString &folder)
{
    if (folder.isEmpty())
        m_temporary.emplace();
    const QDir dir(m_temporary ? m_temporary->path() : folder);
    m_file.setFileName(dir.filePath(QStringLiteral("protocol-search-%1.db").arg(number)));
}

SearchDatabase::~SearchDatabase()
{
    if (m_file.isOpen())
        m_file.remove();
}

bool SearchDatabase::open()
{
    if (!m_file.open(QIODevice::WriteOnly | QIODevice::Truncate))
        return false;
    const QByteArray owner = "pid " + QByteArray::number(QCoreApplication::applicationPid()) + '\n';
    return m_file.write(owner) == owner.size() && m_file.flush();
}

QString SearchDatabase::errorMessage() const
{
    return QStringLiteral("Unable to open protocol search database %1: %2")
            .arg(m_file.fileName(), m_file.errorString());
}
