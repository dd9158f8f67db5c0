//! The options and operands of one call.

use std::ffi::OsStr;

use super::description::{Description, Role};
use crate::args::Item;

/// What is given in a call, where options are asked for by name.
pub(super) struct Given<'a> {
    tool: &'a Description,
    items: &'a [Item<Role>],
    /// In order.
    pub operands: Vec<&'a OsStr>,
}

impl<'a> Given<'a> {
    /// What a call's arguments are, for the file that it makes: where options count for the file after them, those before
    /// the last input are none.
    pub fn new(tool: &'a Description, items: &'a [Item<Role>]) -> Self {
        let operands = items.iter().filter_map(|item| match item {
            Item::Operand(name) => Some(name.as_os_str()),
            Item::Option { .. } => None,
        });
        let operands = operands.collect();
        let mut counting = items;
        if tool.sections {
            let is_input = |item: &Item<Role>| matches!(item, Item::Option { meaning: Role::Input, .. });
            let begin = items.iter().rposition(is_input).map_or(0, |at| at + 1);
            let is_operand = |item: &Item<Role>| matches!(item, Item::Operand(_));
            let end = items.iter().rposition(is_operand).unwrap_or(items.len());
            counting = items.get(begin..end).unwrap_or_default();
        }
        Self { tool, items: counting, operands }
    }

    /// Whether an option is given.
    pub fn has(&self, name: &str) -> bool {
        is_given(self.items, name)
    }

    /// Whether an option is given that does not name a file itself, which it may.
    pub fn without_name(&self, name: &str) -> bool {
        let may = self.tool.options.operand(name).is_some_and(crate::args::Operand::is_optional);
        self.items.iter().any(
            |item| matches!(item, Item::Option { spelling, value, .. } if spelling == name && (!may || value.is_none())),
        )
    }

    /// The last operand of an option.
    pub fn value(&self, name: &str) -> Option<&'a OsStr> {
        self.items.iter().rev().find_map(|item| match item {
            Item::Option { spelling, value: Some(value), .. } if spelling == name => Some(value.as_os_str()),
            _ => None,
        })
    }

    /// All operands of some options, in order.
    pub fn values<'n>(&self, names: impl Fn(&str) -> bool + 'n) -> impl Iterator<Item = &'a OsStr> + 'n
    where
        'a: 'n,
    {
        self.items.iter().filter_map(move |item| match item {
            Item::Option { spelling, value: Some(value), .. } if names(spelling) => Some(value.as_os_str()),
            _ => None,
        })
    }
}

/// Whether an option is anywhere in a call.
pub(super) fn is_given(items: &[Item<Role>], name: &str) -> bool {
    items.iter().any(|item| matches!(item, Item::Option { spelling, .. } if spelling == name))
}
