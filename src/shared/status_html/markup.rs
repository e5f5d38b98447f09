//! HTML as it is written: what the program says as it is, all else as text.

use std::fmt::{self, Display, Write};

/// What is shown of a text. Names of queues are as long as guests make them.
const LONGEST: usize = 400;

/// A page that is being written.
#[derive(Default)]
pub struct Html(String);

impl Html {
    /// Adds markup, which only the program itself has.
    pub fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Adds anything as text, which may stand in an attribute between double quotes, too.
    pub fn put(&mut self, text: impl Display) -> &mut Html {
        // Writing to a string does not fail.
        let _ = write!(Text { page: &mut self.0, left: LONGEST }, "{text}");
        self
    }

    /// The same with bytes.
    pub fn bytes(&mut self, text: &[u8]) -> &mut Html {
        self.put(String::from_utf8_lossy(text))
    }

    /// Adds a table that is called so, and whose columns are these.
    pub fn table(&mut self, name: &'static str, columns: &'static [Column], rows: impl FnOnce(&mut Table<'_>)) {
        // What scrolls can be reached with the keyboard.
        self.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"").raw(name).raw("\">");
        // Where rows are cards, some browsers forget what was a table.
        self.raw("<table role=\"table\">\n");
        self.raw("<thead role=\"rowgroup\"><tr role=\"row\">");
        for column in columns {
            self.raw("<th scope=\"col\" role=\"columnheader\"").raw(column.class()).raw(">");
            self.raw(column.name).raw("</th>");
        }
        self.raw("</tr></thead>\n<tbody role=\"rowgroup\">\n");
        rows(&mut Table { html: self, columns });
        self.raw("</tbody></table></div>\n");
    }

    /// What part of a whole something is.
    pub fn bar(&mut self, part: u64, whole: u64) {
        let percent = if whole == 0 { 0.0 } else { (part as f64 * 100.0 / whole as f64).min(100.0) };
        let class = if percent >= 90.0 { " class=\"full\"" } else { "" };
        // What the text beside it says is not said again.
        self.raw("<svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
        self.raw("<rect width=\"").put(format_args!("{percent:.1}")).raw("\" height=\"1\"").raw(class);
        self.raw("/></svg>");
    }

    /// The page.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A column of a table.
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// It has numbers.
    pub is_number: bool,
}

impl Column {
    /// One of texts.
    pub const fn text(name: &'static str) -> Column {
        Column { name, is_number: false }
    }

    /// One of numbers.
    pub const fn number(name: &'static str) -> Column {
        Column { name, is_number: true }
    }

    fn class(&self) -> &'static str {
        if self.is_number { " class=\"number\"" } else { "" }
    }
}

/// A table that is being written.
pub struct Table<'h> {
    html: &'h mut Html,
    columns: &'static [Column],
}

impl Table<'_> {
    /// Adds a row: the first cell is what it is about, and there is one for each column.
    pub fn row(&mut self, class: &'static str, cells: impl FnOnce(&mut Row<'_>)) {
        self.html.raw("<tr role=\"row\"").raw(if class.is_empty() { "" } else { " class=\"" });
        self.html.raw(class).raw(if class.is_empty() { ">" } else { "\">" });
        cells(&mut Row { html: self.html, columns: self.columns.iter(), is_begun: false });
        self.html.raw("</tr>\n");
    }
}

/// A row that is being written.
pub struct Row<'h> {
    html: &'h mut Html,
    columns: std::slice::Iter<'static, Column>,
    is_begun: bool,
}

impl Row<'_> {
    /// Adds a cell to the next column.
    pub fn cell(&mut self, write: impl FnOnce(&mut Html)) -> &mut Self {
        let Some(column) = self.columns.next() else { return self };
        let is_head = !std::mem::replace(&mut self.is_begun, true);
        if is_head {
            self.html.raw("<th scope=\"row\" role=\"rowheader\"").raw(column.class()).raw(">");
        } else {
            self.html.raw("<td role=\"cell\" data-label=\"").raw(column.name).raw("\"").raw(column.class()).raw(">");
        }
        // Where rows are cards the heading stands beside all that is in the cell.
        self.html.raw("<div>");
        write(self.html);
        self.html.raw("</div>").raw(if is_head { "</th>" } else { "</td>" });
        self
    }

    /// Adds a cell with a text.
    pub fn text(&mut self, text: impl Display) -> &mut Self {
        self.cell(|html| {
            html.put(text);
        })
    }

    /// The same with bytes.
    pub fn bytes(&mut self, text: &[u8]) -> &mut Self {
        self.cell(|html| {
            html.bytes(text);
        })
    }
}

/// Escapes what is written, and cuts it.
struct Text<'h> {
    page: &'h mut String,
    /// Characters that there is room for.
    left: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match self.left {
                0 => return Ok(()),
                1 => self.page.push('…'),
                _ => push(self.page, character),
            }
            self.left -= 1;
        }
        Ok(())
    }
}

fn push(page: &mut String, character: char) {
    match character {
        '&' => page.push_str("&amp;"),
        '<' => page.push_str("&lt;"),
        '>' => page.push_str("&gt;"),
        '"' => page.push_str("&quot;"),
        '\'' => page.push_str("&#39;"),
        // What is not seen, and what changes the order of what is: nobody shall be shown another text than there is.
        _ if character.is_control() || is_unseen(character) => page.extend(character.escape_unicode()),
        _ => page.push(character),
    }
}

fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
