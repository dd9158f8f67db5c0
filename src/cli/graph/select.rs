//! Fewer steps, for a person who looks for something.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, Node};

/// As many steps that are alike are drawn as they are; more are one.
const ALIKE: usize = 12;

/// Which steps are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only these tools, if any are named.
    pub tools: Vec<String>,
    /// Only these kinds, if any are named.
    pub kinds: Vec<String>,
    /// As many steps back from those whose outputs no other uses.
    pub depth: Option<usize>,
}

impl Selection {
    fn has(&self, node: &Node) -> bool {
        let among = |words: &[String], word: &str| words.is_empty() || words.iter().any(|other| other == word);
        among(&self.tools, &node.tool) && among(&self.kinds, &node.kind)
    }
}

impl Graph {
    /// The steps of a selection. Where a step is left out, who uses it is shown to use what that one uses.
    pub fn select(&self, selection: &Selection) -> Self {
        // What stands for each step: itself, or the nearest ones before it that are kept.
        let mut stand: Vec<BTreeSet<usize>> = Vec::with_capacity(self.nodes.len());
        let mut nodes: Vec<Node> = Vec::new();
        for node in &self.nodes {
            let needs: BTreeSet<usize> = node.needs.iter().flat_map(|&need| &stand[need]).copied().collect();
            if selection.has(node) {
                stand.push(BTreeSet::from([nodes.len()]));
                nodes.push(Node { needs: needs.into_iter().collect(), ..node.clone() });
            } else {
                stand.push(needs);
            }
        }
        let graph = Self { title: self.title.clone(), nodes };
        match selection.depth {
            None => graph,
            Some(depth) => {
                let distances = graph.distances();
                graph.keep(|place| distances[place] <= depth)
            }
        }
    }

    /// How many steps each is away from the nearest one whose outputs no other uses.
    fn distances(&self) -> Vec<usize> {
        let users = self.users();
        let mut distances = vec![0; self.nodes.len()];
        for place in (0..self.nodes.len()).rev() {
            distances[place] = users[place].iter().map(|&user| distances[user] + 1).min().unwrap_or(0);
        }
        distances
    }

    fn keep(&self, which: impl Fn(usize) -> bool) -> Self {
        let mut places = vec![None; self.nodes.len()];
        let mut nodes = Vec::new();
        for (place, node) in self.nodes.iter().enumerate().filter(|(place, _)| which(*place)) {
            places[place] = Some(nodes.len());
            let needs = node.needs.iter().filter_map(|&need| places[need]).collect();
            nodes.push(Node { needs, ..node.clone() });
        }
        Self { title: self.title.clone(), nodes }
    }

    /// Makes one of steps that need nothing, are of one kind, and are used by the same steps, where they are many: a library's 300
    /// compiles.
    pub fn fold(&self) -> Self {
        let users = self.users();
        let mut groups: BTreeMap<(&str, &str, bool, &[usize]), Vec<usize>> = BTreeMap::new();
        for (place, node) in self.nodes.iter().enumerate() {
            if node.needs.is_empty() && !users[place].is_empty() {
                let alike = (node.kind.as_str(), node.served.name(), node.earlier, users[place].as_slice());
                groups.entry(alike).or_default().push(place);
            }
        }
        let mut folded: BTreeMap<usize, Node> = BTreeMap::new();
        let mut gone: BTreeSet<usize> = BTreeSet::new();
        for members in groups.into_values().filter(|members| members.len() > ALIKE) {
            let (first, rest) = (&self.nodes[members[0]], &members[1..]);
            gone.extend(rest);
            let node = Node {
                label: format!("{} steps", members.len()),
                command: String::new(),
                directory: String::new(),
                wall_us: members.iter().map(|&member| self.nodes[member].wall_us).sum(),
                files: None,
                members: members.iter().map(|&member| self.nodes[member].label.clone()).collect(),
                ..first.clone()
            };
            folded.insert(members[0], node);
        }
        let mut graph = self.clone();
        for (place, node) in folded {
            graph.nodes[place] = node;
        }
        graph.keep(|place| !gone.contains(&place))
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph;
    use super::*;

    fn shown(graph: &Graph) -> Vec<(&str, Vec<&str>)> {
        let label = |&need: &usize| graph.nodes[need].label.as_str();
        graph.nodes.iter().map(|node| (node.label.as_str(), node.needs.iter().map(label).collect())).collect()
    }

    #[test]
    fn what_is_left_out_is_passed_through() {
        let whole = graph(&[
            ("compile", "a.o", &[]),
            ("compile", "b.o", &[]),
            ("archive", "l.a", &[0, 1]),
            ("compile", "main.o", &[]),
            ("link", "app", &[2, 3]),
            ("strip", "app", &[4]),
        ]);
        assert_eq!(shown(&whole.select(&Selection::default())), shown(&whole));
        let without = Selection { tools: vec!["gcc".into()], ..Selection::default() };
        let want = [
            ("a.o", vec![]),
            ("b.o", vec![]),
            ("main.o", vec![]),
            ("app", vec!["a.o", "b.o", "main.o"]),
            ("app", vec!["app"]),
        ];
        assert_eq!(shown(&whole.select(&without)), want);
        let near = Selection { kinds: vec!["archive".into(), "link".into()], depth: Some(0), ..Selection::default() };
        assert_eq!(shown(&whole.select(&near)), [("app", vec![])]);
        let two = Selection { depth: Some(2), ..Selection::default() };
        assert_eq!(
            shown(&whole.select(&two)).iter().map(|(label, _)| *label).collect::<Vec<_>>(),
            ["l.a", "main.o", "app", "app"]
        );
    }

    #[test]
    fn many_that_are_alike_are_one() {
        let names: Vec<String> = (0..20).map(|number| format!("{number}.o")).collect();
        let mut nodes: Vec<(&str, &str, &[usize])> =
            names.iter().map(|name| ("compile", name.as_str(), &[][..])).collect();
        let (all, some): (Vec<usize>, Vec<usize>) = ((0..19).collect(), vec![19, 20]);
        nodes.extend([("archive", "l.a", all.as_slice()), ("link", "app", some.as_slice())]);
        let folded = graph(&nodes).fold();
        assert_eq!(
            shown(&folded),
            [("19 steps", vec![]), ("19.o", vec![]), ("l.a", vec!["19 steps"]), ("app", vec!["19.o", "l.a"])]
        );
        assert_eq!(folded.nodes[0].members.len(), 19);
        // A few are shown as they are.
        let few = graph(&[("compile", "a.o", &[]), ("compile", "b.o", &[]), ("link", "app", &[0, 1])]);
        assert_eq!(shown(&few.fold()), shown(&few));
    }
}
