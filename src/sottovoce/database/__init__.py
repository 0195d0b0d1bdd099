"""The database: connection, schema, migrations."""
