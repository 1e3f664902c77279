//! Whatever stands where a sealed value or a wrapped key should: it does not open, and nothing of it is shown.
#![no_main]

use circlekeeper_fuzz::with_world;
use diesel::{Connection, RunQueryDsl, sql_query, sql_types::Binary};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [which, bytes @ ..] = data else { return };
    with_world(|world| {
        let mut database = diesel::SqliteConnection::establish(&world.file.display().to_string()).expect("it opens");
        let account = world.caller.account.0.as_bytes().to_vec();
        let (table, column, key) = match which % 3 {
            0 => ("accounts", "name", "id"),
            1 => ("accounts", "sign_in_name", "id"),
            _ => ("data_keys", "wrapped", "owner_id"),
        };
        let kept = format!("CREATE TEMP TABLE kept AS SELECT {column} AS bytes FROM {table} WHERE {key} = ?");
        sql_query(kept).bind::<Binary, _>(&account).execute(&mut database).expect("a copy");
        let mut sealed = bytes.to_vec();
        if which & 64 != 0 {
            // The true value with some of its bytes changed.
            #[derive(diesel::QueryableByName)]
            struct Kept {
                #[diesel(sql_type = Binary)]
                bytes: Vec<u8>,
            }
            let rows: Vec<Kept> = sql_query("SELECT bytes FROM kept").load(&mut database).expect("a row");
            sealed.clone_from(&rows[0].bytes);
            let length = sealed.len();
            for pair in bytes.chunks_exact(2) {
                sealed[usize::from(pair[0]) % length] ^= pair[1];
            }
            if sealed == rows[0].bytes {
                return;
            }
        }
        let change = format!("UPDATE {table} SET {column} = ? WHERE {key} = ?");
        sql_query(change)
            .bind::<Binary, _>(&sealed)
            .bind::<Binary, _>(&account)
            .execute(&mut database)
            .expect("a change");
        let bearer = format!("Bearer {}", world.token);
        let answer = world.send("GET", "/v1/account", &[("authorization", &bearer)], b"");
        let back = format!("UPDATE {table} SET {column} = (SELECT bytes FROM kept) WHERE {key} = ?");
        sql_query(back).bind::<Binary, _>(&account).execute(&mut database).expect("a change");
        assert_eq!(answer.status, 500, "it opened: {}", answer.text);
        assert!(!answer.text.contains("sealed") && !answer.text.contains(column), "{}", answer.text);
        let answer = world.send("GET", "/v1/account", &[("authorization", &bearer)], b"");
        assert_eq!(answer.status, 200, "{}", answer.text);
    });
});
