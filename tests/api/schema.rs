//! `src/store/schema.rs` is what the migrations make of a fresh database, and nobody writes it by hand.

use std::fmt::Write;

use circlekeeper::store::{connection::Location, migrations};
use diesel::{
    Connection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Bool, Integer, Text},
    sqlite::SqliteConnection,
};
use expect_test::expect_file;

#[derive(QueryableByName)]
struct Table {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    declared: String,
    #[diesel(sql_type = Bool)]
    required: bool,
    /// The place in the primary key, from 1; 0 outside it.
    #[diesel(sql_type = Integer)]
    key: i32,
}

impl Column {
    fn rust_type(&self) -> String {
        let plain = match self.declared.as_str() {
            "UUID" => "Uid",
            "BYTEA" => "Binary",
            "BIGINT" => "BigInt",
            "INTEGER" => "Integer",
            "TEXT" => "Text",
            "BOOLEAN" => "Bool",
            other => panic!("{} is declared {other}, which does not mean the same in both databases", self.name),
        };
        if self.required { plain.to_owned() } else { format!("Nullable<{plain}>") }
    }
}

#[test]
fn schema_is_what_the_migrations_make() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("schema.db");
    let location = Location::new(format!("sqlite:{}", file.display()), 1);
    migrations::run(&location).expect("the migrations run");
    let mut connection = SqliteConnection::establish(&file.to_string_lossy()).expect("the database opens");
    expect_file!["../../src/store/schema.rs"].assert_eq(&schema(&mut connection));
}

/// As rustfmt leaves it.
fn schema(connection: &mut SqliteConnection) -> String {
    let tables: Vec<Table> = sql_query(
        "SELECT name FROM sqlite_master WHERE type = 'table' \
         AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY rowid",
    )
    .load(connection)
    .expect("the tables");
    let mut text = String::from(
        "//! The tables, as the migrations make them. Written by the test `schema_is_what_the_migrations_make`.\n",
    );
    for table in &tables {
        let columns: Vec<Column> = sql_query(
            "SELECT name, type AS declared, \"notnull\" AS required, pk AS key FROM pragma_table_info(?) ORDER BY cid",
        )
        .bind::<Text, _>(&table.name)
        .load(connection)
        .expect("the columns");
        let mut keys: Vec<&Column> = columns.iter().filter(|column| column.key > 0).collect();
        keys.sort_by_key(|column| column.key);
        let keys: Vec<&str> = keys.iter().map(|column| column.name.as_str()).collect();
        write_table(&mut text, &table.name, &keys, &columns).expect("a text grows");
    }
    let names: String = tables.iter().map(|table| format!("    {},\n", table.name)).collect();
    format!("{text}\ndiesel::allow_tables_to_appear_in_same_query!(\n{names});\n")
}

fn write_table(text: &mut String, name: &str, keys: &[&str], columns: &[Column]) -> std::fmt::Result {
    writeln!(text, "\ndiesel::table! {{")?;
    writeln!(text, "    use diesel::sql_types::*;")?;
    writeln!(text, "    use super::super::columns::Uid;\n")?;
    writeln!(text, "    {name} ({}) {{", keys.join(", "))?;
    for column in columns {
        writeln!(text, "        {} -> {},", column.name, column.rust_type())?;
    }
    writeln!(text, "    }}\n}}")
}
