//! What there is to say of steps in words, kept small while a build runs: command lines are long and much like one another.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use zstd::stream::{read, write};

/// The words of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The tool's name.
    pub tool: String,
    /// What it makes.
    pub label: String,
    /// All files that it makes.
    pub outputs: Vec<String>,
    /// The directory.
    pub directory: String,
    /// The command line.
    pub command: String,
}

/// The words of many steps, in their order.
pub struct Texts(write::Encoder<'static, Vec<u8>>);

impl Texts {
    /// None yet.
    ///
    /// # Errors
    /// When there is no memory for a compressor.
    pub fn new() -> io::Result<Self> {
        Ok(Self(write::Encoder::new(Vec::new(), 1)?))
    }

    /// Adds those of the next step.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn push(&mut self, text: &Text) -> io::Result<()> {
        let Text { tool, label, outputs, directory, command } = text;
        // The tuple leaves the fields' names out.
        let mut line = serde_json::to_vec(&(tool, label, outputs, directory, command))?;
        line.push(b'\n');
        self.0.write_all(&line)
    }

    /// All of them.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn read(self) -> io::Result<impl Iterator<Item = Text>> {
        let packed = self.0.finish()?;
        let reader = io::BufReader::new(read::Decoder::new(io::Cursor::new(packed))?);
        let lines = serde_json::Deserializer::from_reader(reader).into_iter::<(_, _, _, _, _)>();
        Ok(lines.map_while(Result::ok).map(|(tool, label, outputs, directory, command)| Text {
            tool,
            label,
            outputs,
            directory,
            command,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_in_their_order() {
        let mut texts = Texts::new().unwrap();
        let text = |number: usize| Text {
            tool: "gcc".into(),
            label: format!("/p/{number}.o"),
            outputs: vec![format!("/p/{number}.o"), "/p/\"\n\u{1}".into()],
            directory: "/p".into(),
            command: format!("gcc -O2 -c 'a b'/{number}.c"),
        };
        (0..2000).for_each(|number| texts.push(&text(number)).unwrap());
        let read: Vec<Text> = texts.read().unwrap().collect();
        assert_eq!(read, (0..2000).map(text).collect::<Vec<_>>());
    }
}
