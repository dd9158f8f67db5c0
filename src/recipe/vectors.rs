//! The test vectors of `docs/ir.md`: recipes and trees with their bytes and names.

use gg_ir::{Entry, Input, Kind, Name, Reference, Tree};
use serde::Deserialize;

use crate::seal::file;
use crate::{Recipe, RecipeError, Result, Source, Sources, Text, seal};

#[derive(Deserialize)]
struct Vector {
    what: String,
    recipe: Option<Recipe>,
    entries: Option<std::collections::BTreeMap<String, Source>>,
    bytes: String,
    name: String,
}

/// Content is named, and kept nowhere.
struct Named;

impl Sources for Named {
    fn input(&mut self, source: &Source) -> Result<Input> {
        match (&source.text, &source.base64) {
            (Some(text), _) => Ok(file(Name::of_value(text.as_bytes()))),
            (_, Some(text)) => Ok(file(Name::of_value(&Text::decode(text).unwrap()))),
            _ => Err(RecipeError::new("there is nothing here")),
        }
    }
}

fn tree(entries: std::collections::BTreeMap<String, Source>) -> Vec<u8> {
    let mut tree = Tree::new();
    for (name, source) in entries {
        let entry = match crate::seal::input(&source, &mut Named).unwrap() {
            Input::File { object: Reference::Value(content), mode } => Entry::File { content, mode },
            Input::Tree(name) => Entry::Tree(name),
            Input::Symlink(target) => Entry::Symlink(target),
            other => panic!("{other:?}"),
        };
        assert!(tree.insert(name, entry));
    }
    tree.encode()
}

#[test]
fn objects_are_what_the_page_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/ir/vectors.json");
    let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(vectors.len() >= 8);
    for vector in vectors {
        let (kind, bytes) = match (vector.recipe, vector.entries) {
            (Some(recipe), None) => {
                // What is read is what was written.
                let again: Recipe = serde_json::from_value(serde_json::to_value(&recipe).unwrap()).unwrap();
                assert_eq!(again, recipe);
                (Kind::Thunk, seal(&recipe, None, &mut Named).unwrap().encode())
            }
            (None, Some(entries)) => (Kind::Value, tree(entries)),
            _ => panic!("{}: neither a recipe nor a tree", vector.what),
        };
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, vector.bytes, "{}", vector.what);
        assert_eq!(Name::of(kind, &bytes).to_string(), vector.name, "{}", vector.what);
    }
}
