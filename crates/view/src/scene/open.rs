//! Which groups are unfolded at first.

use std::collections::VecDeque;

use crate::model::Picture;

/// About so many boxes are seen at first.
const SEEN: usize = 60;

/// Unfolds groups from the outside in as long as there are few boxes: branches and loops and what
/// is called, unless that is `repeated`; and scopes of one group together or not at all. Runs of a
/// program that was cut are left folded.
pub(super) fn choose(picture: &mut Picture, repeated: &[bool]) {
    let count = picture.groups.len();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (i, group) in picture.groups.iter().enumerate() {
        if let Some(list) = group.parent.and_then(|p| children.get_mut(p)) {
            list.push(i);
        }
    }
    let size = |picture: &Picture, i: usize| picture.groups[i].nodes.len();
    let mut seen = picture.groups.first().map_or(0, |g| g.nodes.len());
    let mut work: VecDeque<usize> = VecDeque::from([0]);
    while let Some(parent) = work.pop_front() {
        let of = children.get(parent).cloned().unwrap_or_default();
        let (scopes, mut others): (Vec<usize>, Vec<usize>) = of
            .into_iter()
            .partition(|c| picture.groups[*c].kind == "scope");
        // Boxes of nothing but inputs or results say enough.
        let inside = |c: &usize| {
            picture.groups[*c]
                .nodes
                .iter()
                .any(|n| n.kind == "op" || n.kind == "group")
        };
        let scopes: Vec<usize> = scopes.into_iter().filter(inside).collect();
        others.retain(|c| !repeated.get(*c).copied().unwrap_or(false));
        others.sort_by_key(|c| size(picture, *c));
        let mut sets: Vec<Vec<usize>> = others.into_iter().map(|c| vec![c]).collect();
        sets.insert(0, scopes);
        for set in sets {
            let boxes: usize = set.iter().map(|c| size(picture, *c)).sum();
            if seen + boxes > SEEN {
                continue;
            }
            seen += boxes;
            for c in set {
                picture.groups[c].open = true;
                work.push_back(c);
            }
        }
    }
}
