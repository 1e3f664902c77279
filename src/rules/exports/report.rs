//! An export as a page to print: one file that needs nothing else, and in which nothing that was written can act.

use std::fmt::Write;

use super::{RedisclosureNotice, Table, shown};

/// What stands above the tables.
pub struct Heading<'a> {
    /// Shown on the page; the file's own title stays neutral, because windows and printers show it to others.
    pub title: &'a str,
    /// Label and value, line by line.
    pub facts: Vec<(&'static str, String)>,
    pub notice: Option<&'a RedisclosureNotice>,
}

const STYLE: &str = "\
body{font:11pt/1.4 Georgia,serif;color:#111;background:#fff;margin:2rem auto;max-width:60rem;padding:0 1rem}\
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.15rem;margin:1.6rem 0 .4rem;break-after:avoid}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0}dt{font-weight:bold}dd{margin:0}\
aside{border:2px solid #111;padding:.6rem .8rem;margin:1rem 0}\
table{border-collapse:collapse;width:100%;font:9pt/1.3 Arial,sans-serif}\
th,td{border:1px solid #767676;padding:.2rem .35rem;text-align:left;vertical-align:top;white-space:pre-line;overflow-wrap:anywhere}\
thead{display:table-header-group}tr{break-inside:avoid}caption{text-align:left}\
@page{size:A4 landscape;margin:15mm}@media print{body{margin:0;max-width:none;padding:0}}";

/// The page. Every text is escaped; there is no script, no link and no picture in it.
pub fn report(heading: &Heading, tables: &[Table]) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Record</title>\n",
    );
    page.push_str(&format!(
        "<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{}</h1>\n<dl>\n",
        escaped(heading.title)
    ));
    for (label, value) in &heading.facts {
        page.push_str(&format!("<dt>{label}</dt><dd>{}</dd>\n", escaped(value)));
    }
    page.push_str("</dl>\n</header>\n");
    if let Some(notice) = heading.notice {
        page.push_str(&format!("<aside><strong>{}</strong>", escaped(notice.statement)));
        if let Some(scope) = &notice.consent_scope {
            page.push_str(&format!("<p>Scope of the consent: {}</p>", escaped(scope)));
        }
        page.push_str("</aside>\n");
    }
    page.push_str("<main>\n");
    for table in tables {
        section(&mut page, table);
    }
    page.push_str("</main>\n<footer>\n<h2>What the columns mean</h2>\n");
    for table in tables {
        page.push_str(&format!("<h3>{}</h3>\n<dl>\n", escaped(&title(&table.name))));
        for (name, meaning) in &table.columns {
            page.push_str(&format!("<dt>{}</dt><dd>{}</dd>\n", escaped(&title(name)), escaped(meaning)));
        }
        page.push_str("</dl>\n");
    }
    page.push_str("</footer>\n</body>\n</html>\n");
    page
}

fn section(page: &mut String, table: &Table) {
    let heads: String =
        table.columns.iter().map(|(name, _)| format!("<th scope=\"col\">{}</th>", escaped(&title(name)))).collect();
    // Writing into a string cannot fail.
    let _ = write!(
        page,
        "<section>\n<h2>{}</h2>\n<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n",
        escaped(&title(&table.name))
    );
    for row in &table.rows {
        let cells: String = row.iter().map(|value| format!("<td>{}</td>", escaped(&shown(value)))).collect();
        let _ = writeln!(page, "<tr>{cells}</tr>");
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

/// `taken_at` as `Taken at`.
fn title(name: &str) -> String {
    let mut letters = name.replace('_', " ").chars().collect::<Vec<_>>().into_iter();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Text in which nothing is markup (OWASP, Cross Site Scripting Prevention: the five characters).
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
