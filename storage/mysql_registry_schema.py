"""The registry's tables on MariaDB: what `registry_tables.SCHEMA` is for SQLite, and the row that processes meet at.

Texts are compared bytewise, also blanks at their end, as SQLite does. `registry_state.born` is drawn when the tables
are made: another one means that they came back empty.
"""

_END = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin"

SCHEMA = (
    f"""CREATE TABLE IF NOT EXISTS record (
        kind VARCHAR(32) NOT NULL, name VARCHAR(255) NOT NULL, removed BOOLEAN NOT NULL, version BIGINT NOT NULL,
        body MEDIUMTEXT NOT NULL, PRIMARY KEY (kind, name)
    ) {_END}""",
    f"""CREATE TABLE IF NOT EXISTS rules (
        version BIGINT PRIMARY KEY, rules LONGBLOB NOT NULL, changed BIGINT NOT NULL
    ) {_END}""",
    f"""CREATE TABLE IF NOT EXISTS audit (
        number BIGINT AUTO_INCREMENT PRIMARY KEY, time BIGINT NOT NULL, actor TEXT NOT NULL, kind VARCHAR(16) NOT NULL,
        name VARCHAR(255) NOT NULL, action VARCHAR(16) NOT NULL, `before` BIGINT NOT NULL, `after` BIGINT NOT NULL,
        changes LONGTEXT NOT NULL
    ) {_END}""",
    f"""CREATE TABLE IF NOT EXISTS outbox (
        number BIGINT AUTO_INCREMENT PRIMARY KEY, `key` VARBINARY(512) NOT NULL, value LONGBLOB NOT NULL
    ) {_END}""",
    f"""CREATE TABLE IF NOT EXISTS registry_state (
        id TINYINT PRIMARY KEY, born CHAR(36) NOT NULL, owner VARCHAR(32) NOT NULL, until DATETIME(6) NOT NULL
    ) {_END}""",
    """INSERT IGNORE INTO registry_state
        SELECT 1, UUID(), '', NOW(6) FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM registry_state WHERE id = 1)""",
)
