//! Tables behind the opaque handles of the C interface.
//!
//! A handle is a number, never an address: it is looked up here and never dereferenced, so a wild,
//! stale or foreign one is an error instead of undefined behaviour. Numbers are not reused, so a
//! destroyed object is not mistaken for its successor.

use std::collections::HashMap;
use std::marker::PhantomData;

/// The number of an object of kind `T`; `kind << 48 | serial << 4`, so that kinds cannot be
/// confused.
pub struct Id<T>(u64, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// The number as C sees it.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// Takes a number from C as it is; only a table says whether it means anything.
    pub fn from_raw(raw: u64) -> Self {
        Id(raw, PhantomData)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> std::hash::Hash for Id<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> std::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// All living objects of one kind.
pub struct Table<T> {
    kind: u64,
    next: u64,
    items: HashMap<u64, T>,
}

impl<T> Table<T> {
    /// An empty table; `kind` (1 to 32,767) sets its numbers apart from those of other tables.
    pub fn new(kind: u16) -> Self {
        Table { kind: u64::from(kind) << 48, next: 1, items: HashMap::new() }
    }

    /// Adds an object and returns its number, never one that was used before.
    pub fn insert(&mut self, item: T) -> Id<T> {
        let raw = self.kind | self.next << 4;
        self.next += 1;
        self.items.insert(raw, item);
        Id(raw, PhantomData)
    }

    /// The object, if it lives.
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.items.get(&id.0)
    }

    /// The object to change, if it lives.
    pub fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        self.items.get_mut(&id.0)
    }

    /// Takes the object out; its number is dead from then on.
    pub fn remove(&mut self, id: Id<T>) -> Option<T> {
        self.items.remove(&id.0)
    }

    /// All objects in the order they were made.
    pub fn ids(&self) -> Vec<Id<T>> {
        let mut ids: Vec<_> = self.items.keys().map(|&raw| Id::from_raw(raw)).collect();
        ids.sort();
        ids
    }

    /// All objects, in no order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.items.values()
    }

    /// Drops the objects for which `keep` answers no.
    pub fn retain(&mut self, mut keep: impl FnMut(Id<T>, &mut T) -> bool) {
        self.items.retain(|&raw, item| keep(Id::from_raw(raw), item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_and_foreign_numbers_find_nothing() {
        let (mut streams, mut events) = (Table::<&str>::new(1), Table::<&str>::new(2));
        let stream = streams.insert("s");
        let event = events.insert("e");
        assert_ne!(stream.raw(), event.raw());
        assert_eq!(streams.get(Id::from_raw(event.raw())), None);
        assert_eq!(streams.remove(stream), Some("s"));
        let next = streams.insert("t");
        assert_ne!(next, stream);
        assert_eq!(streams.get(stream), None);
        assert_eq!(streams.get(Id::from_raw(0xdead_beef)), None);
    }
}
