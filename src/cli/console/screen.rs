//! What to send to a terminal so that its bottom rows are gg's and all above them is everybody's. Pure functions.
//!
//! Sequences of the VT100 only: DECSC and DECRC (`ESC 7`, `ESC 8`: the cursor with its colours is kept and put back), DECSTBM
//! (`ESC [ top ; bottom r`: what scrolls), and the vertical tab, which goes down one row in the same column, scrolls at the
//! end, and is left alone by the terminal's driver. Each of these texts is one write, which the driver does not mix with
//! another process's.

/// The rows and columns of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// Keeps the last rows for `lines`, and shows them there. The cursor stays where it is in the text; if that is in the
/// way, the text goes up with it. Whoever has changed what scrolls meanwhile (a program that resets the terminal, a
/// change of its size) is put right by this, so it may be sent at any time.
///
/// With `wipe`, what stands after the cursor goes first: rows that an earlier block was shown on, before the size changed.
pub fn show(lines: &[String], size: Size, wipe: bool) -> String {
    let height = lines.len() as u16;
    let top = size.rows - height;
    let mut text = String::from("\x1b7\x1b[r\x1b8");
    if wipe {
        text += "\x1b[J";
    }
    text += &"\x0b".repeat(lines.len());
    text += &format!("\x1b[{height}A\x1b7\x1b[1;{top}r\x1b[m");
    for (row, line) in (top + 1..).zip(lines) {
        text += &format!("\x1b[{row};1H{line}\x1b[m\x1b[K");
    }
    text + "\x1b8"
}

/// Gives the last `height` rows back, empty.
pub fn hide(height: u16, size: Size) -> String {
    format!("\x1b7\x1b[r\x1b[m\x1b[{};1H\x1b[J\x1b8", size.rows.saturating_sub(height) + 1)
}

/// Gives the last rows back as they are: for a program that has the whole screen.
pub const LET_GO: &str = "\x1b7\x1b[r\x1b8";

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { rows: 10, columns: 40 };

    fn block() -> Vec<String> {
        ["one", "two", "three"].map(String::from).to_vec()
    }

    fn screen(texts: &[&str]) -> vt100::Parser {
        let mut parser = vt100::Parser::new(SIZE.rows, SIZE.columns, 0);
        texts.iter().for_each(|text| parser.process(text.as_bytes()));
        parser
    }

    fn rows(parser: &vt100::Parser) -> Vec<String> {
        parser.screen().rows(0, SIZE.columns).collect()
    }

    #[test]
    fn text_goes_on_where_it_was() {
        let (show, hide) = (show(&block(), SIZE, false), hide(3, SIZE));
        let mut parser = screen(&["first\r\nsec", &show, "ond\r\n\x1b[31mthi", &show, "rd\x1b[m\r\n"]);
        assert_eq!(rows(&parser), ["first", "second", "third", "", "", "", "", "one", "two", "three"]);
        assert_eq!(parser.screen().cell(2, 4).unwrap().fgcolor(), vt100::Color::Idx(1), "as before it was interrupted");
        assert_eq!(parser.screen().cursor_position(), (3, 0));
        parser.process(hide.as_bytes());
        assert_eq!(rows(&parser)[3..].concat(), "");
        assert_eq!(parser.screen().cursor_position(), (3, 0));
    }

    #[test]
    fn text_at_the_bottom_makes_way_and_scrolls_above() {
        let show = show(&block(), SIZE, false);
        let count = |to: usize| (1..=to).map(|n| format!("\r\n{n}")).collect::<String>();
        let mut parser = screen(&[&count(12), &show, "!", &show]);
        assert_eq!(rows(&parser), ["6", "7", "8", "9", "10", "11", "12!", "one", "two", "three"]);
        parser.process(b"\r\nnext");
        assert_eq!(rows(&parser), ["7", "8", "9", "10", "11", "12!", "next", "one", "two", "three"]);
        parser.process(format!("{}\r\nlast\r\n", hide(3, SIZE)).as_bytes());
        assert_eq!(rows(&parser), ["7", "8", "9", "10", "11", "12!", "next", "last", "", ""]);
    }

    #[test]
    fn a_terminal_that_was_reset_is_put_right() {
        let show = show(&block(), SIZE, false);
        for reset in ["\x1bc\x1b[10;1Hsome", "\x1b[r\x1b[2J\x1b[10;1Hsome"] {
            let mut parser = screen(&[&show, reset, &show, "body\r\nelse"]);
            assert_eq!(rows(&parser)[5..], ["somebody", "else", "one", "two", "three"]);
            parser.process(b"\r\n");
            assert_eq!(rows(&parser)[7..], ["one", "two", "three"]);
        }
    }

    #[test]
    fn another_size() {
        let mut parser = screen(&["text\r\n", &show(&block(), SIZE, false)]);
        let larger = Size { rows: 14, ..SIZE };
        parser.screen_mut().set_size(larger.rows, larger.columns);
        parser.process(show(&block(), larger, true).as_bytes());
        let shown: Vec<String> = parser.screen().rows(0, SIZE.columns).collect();
        assert_eq!(shown.join("|"), "text|||||||||||one|two|three");
    }

    #[test]
    fn given_back_as_it_is() {
        let mut parser = screen(&[&show(&block(), SIZE, false), LET_GO, "\x1b[10;1H\r\n"]);
        assert_eq!(rows(&parser)[6..], ["one", "two", "three", ""]);
        parser.process(b"x");
    }
}
