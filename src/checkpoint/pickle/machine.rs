//! The stack machine: one operation at a time, within fixed limits.

use std::collections::HashMap;

use super::super::float_type::FloatType;
use super::super::foreign;
use super::{Global, Id, Kind, Object, Parse, Pickle, Storage, TensorObject};

/// Values built by one pickle: a network of 120 tensors makes about 6,000.
const VALUES: usize = 1 << 15;
/// Values on the stack, or members of all tuples, lists and dictionaries together.
const MEMBERS: usize = 1 << 16;

/// A run of one pickle.
#[derive(Default)]
pub struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    values: Vec<Object<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Members of all containers so far.
    members: usize,
}

impl<'a> Machine<'a> {
    /// Before the first operation.
    pub fn new(input: &'a [u8]) -> Self {
        Machine { input, ..Machine::default() }
    }

    /// All operations.
    pub fn run(mut self) -> Parse<Pickle<'a>> {
        loop {
            if let Some(root) = self.step()? {
                return Ok(Pickle { values: self.values, root, length: self.at });
            }
        }
    }

    /// One operation; the result when it was the last.
    fn step(&mut self) -> Parse<Option<Id>> {
        let at = self.at;
        match self.byte()? {
            0x80 => drop(self.byte()?),
            0x95 => drop(self.take(8)?),
            b'.' => return self.pop().map(Some),
            b'(' => {
                self.room(self.marks.len())?;
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),
            b'1' => drop(self.marked()?),
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Object::Int(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Object::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Object::Int(value.into()))?;
            }
            0x8a => {
                let length = usize::from(self.byte()?);
                self.long(length)?;
            }
            0x8b => {
                let length = self.length4()?;
                self.long(length)?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Object::Float)?;
            }
            b'X' | b'T' => {
                let length = self.length4()?;
                self.text(length)?;
            }
            0x8c | b'U' => {
                let length = usize::from(self.byte()?);
                self.text(length)?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.array()?);
                self.text(usize::try_from(length).unwrap_or(usize::MAX))?;
            }
            b'B' => {
                let length = self.length4()?;
                self.take(length)?;
                self.push(Object::Bytes)?;
            }
            b'C' => {
                let length = usize::from(self.byte()?);
                self.take(length)?;
                self.push(Object::Bytes)?;
            }
            b')' => self.push(Object::Tuple(Vec::new()))?,
            b']' => self.push(Object::List(Vec::new()))?,
            b'}' => self.push(Object::Dict(Vec::new()))?,
            b't' => {
                let items = self.marked()?;
                self.tuple(items)?;
            }
            n @ 0x85..=0x87 => {
                let from = self.depth(usize::from(n) - 0x84)?;
                let items = self.stack.split_off(from);
                self.tuple(items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => {
                let items = self.marked()?;
                self.extend(items)?;
            }
            b's' => {
                let from = self.depth(2)?;
                let items = self.stack.split_off(from);
                self.insert(items)?;
            }
            b'u' => {
                let items = self.marked()?;
                self.insert(items)?;
            }
            b'h' => {
                let key = self.byte()?.into();
                self.recall(key)?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            b'q' => {
                let key = self.byte()?.into();
                self.remember(key)?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.values[module as usize], &self.values[name as usize]) {
                    (&Object::Text(module), &Object::Text(name)) => self.global(module, name)?,
                    _ => return Err(damaged(at)),
                }
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                return Err(refused(module, name));
            }
            b'R' => self.reduce()?,
            b'b' => {
                // An OrderedDict's attributes, PyTorch's `_metadata`: versions of modules.
                self.pop()?;
                match self.top()? {
                    Object::Dict(_) => {}
                    _ => return Err(damaged(at)),
                }
            }
            b'Q' => self.storage()?,
            other => {
                return Err(format!(
                    "its pickle uses the operation 0x{other:02x} at byte {at}, which no plain \
                     state dict needs; save `network.state_dict()` with torch.save"
                ));
            }
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Parse<&'a [u8]> {
        let rest = &self.input[self.at..];
        let taken = rest.get(..count).ok_or_else(|| {
            format!("its pickle is cut off or damaged: byte {} asks for {count} more", self.at)
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Parse<[u8; N]> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| damaged(at))
    }

    fn byte(&mut self) -> Parse<u8> {
        self.array::<1>().map(|[b]| b)
    }

    fn length4(&mut self) -> Parse<usize> {
        self.array().map(|b| u32::from_le_bytes(b) as usize)
    }

    fn line(&mut self) -> Parse<&'a str> {
        let at = self.at;
        let rest = &self.input[at..];
        // No permitted name is longer than 64 bytes, and no honest one than 512.
        let end = rest.iter().take(512).position(|&b| b == b'\n').ok_or_else(|| damaged(at))?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).map_err(|_| damaged(at))
    }

    fn room(&self, used: usize) -> Parse<()> {
        if used < MEMBERS {
            return Ok(());
        }
        Err(format!("its pickle holds more than {MEMBERS} values, far more than a network needs"))
    }

    fn push(&mut self, value: Object<'a>) -> Parse<()> {
        if self.values.len() >= VALUES {
            return Err(format!(
                "its pickle builds more than {VALUES} values, far more than a network needs"
            ));
        }
        self.room(self.stack.len())?;
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
        Ok(())
    }

    /// Where the topmost `count` values begin: all above the last mark.
    fn depth(&self, count: usize) -> Parse<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let from = self.stack.len().checked_sub(count).filter(|&from| from >= floor);
        from.ok_or_else(|| damaged(self.at))
    }

    fn pop(&mut self) -> Parse<Id> {
        self.depth(1)?;
        self.stack.pop().ok_or_else(|| damaged(self.at))
    }

    fn top(&mut self) -> Parse<&mut Object<'a>> {
        let top = self.depth(1)?;
        Ok(&mut self.values[self.stack[top] as usize])
    }

    fn marked(&mut self) -> Parse<Vec<Id>> {
        let from = self.marks.pop().ok_or_else(|| damaged(self.at))?;
        Ok(self.stack.split_off(from))
    }

    fn count(&mut self, members: usize) -> Parse<()> {
        self.members += members;
        self.room(self.members)
    }

    fn long(&mut self, length: usize) -> Parse<()> {
        if length > 16 {
            return Err(format!("its pickle holds an integer of {length} bytes"));
        }
        let bytes = self.take(length)?;
        // Two's complement, little-endian: the missing bytes repeat the sign.
        let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut all = [sign; 16];
        all[..length].copy_from_slice(bytes);
        self.push(Object::Int(i128::from_le_bytes(all)))
    }

    fn text(&mut self, length: usize) -> Parse<()> {
        let value = std::str::from_utf8(self.take(length)?).map_or(Object::Bytes, Object::Text);
        self.push(value)
    }

    fn tuple(&mut self, items: Vec<Id>) -> Parse<()> {
        self.count(items.len())?;
        self.push(Object::Tuple(items))
    }

    fn extend(&mut self, items: Vec<Id>) -> Parse<()> {
        self.count(items.len())?;
        let at = self.at;
        match self.top()? {
            Object::List(list) => list.extend(items),
            _ => return Err(damaged(at)),
        }
        Ok(())
    }

    fn insert(&mut self, items: Vec<Id>) -> Parse<()> {
        self.count(items.len())?;
        let at = self.at;
        let (pairs, rest) = items.as_chunks::<2>();
        match self.top()? {
            Object::Dict(dict) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|&[k, v]| (k, v)))
            }
            _ => return Err(damaged(at)),
        }
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Parse<()> {
        let top = self.stack[self.depth(1)?];
        self.room(self.memo.len())?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Parse<()> {
        let id = *self.memo.get(&key).ok_or_else(|| damaged(self.at))?;
        self.room(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Parse<()> {
        let global = match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
            ("torch", "FloatStorage") => Global::Storage(Kind::Float(FloatType::F32)),
            ("torch", "HalfStorage") => Global::Storage(Kind::Float(FloatType::F16)),
            ("torch", "BFloat16Storage") => Global::Storage(Kind::Float(FloatType::Bf16)),
            ("torch", "DoubleStorage") => Global::Storage(Kind::Float(FloatType::F64)),
            ("torch", "LongStorage") => Global::Storage(Kind::Other(8)),
            ("torch", "IntStorage") => Global::Storage(Kind::Other(4)),
            ("torch", "ShortStorage") => Global::Storage(Kind::Other(2)),
            ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => {
                Global::Storage(Kind::Other(1))
            }
            _ => return Err(refused(module, name)),
        };
        self.push(Object::Global(global))
    }

    /// Calls one of the permitted functions.
    fn reduce(&mut self) -> Parse<()> {
        let at = self.at;
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Object::Tuple(arguments) = &self.values[arguments as usize] else {
            return Err(damaged(at));
        };
        let value = match (&self.values[function as usize], &arguments[..]) {
            (Object::Global(Global::OrderedDict), []) => Object::Dict(Vec::new()),
            (Object::Global(Global::OrderedDict), &[pairs]) => {
                // Python 2 gives the members as a list of pairs.
                let Object::List(pairs) = &self.values[pairs as usize] else {
                    return Err(damaged(at));
                };
                let pair = |id: &Id| match &self.values[*id as usize] {
                    Object::List(pair) | Object::Tuple(pair) if pair.len() == 2 => {
                        Ok((pair[0], pair[1]))
                    }
                    _ => Err(damaged(at)),
                };
                let dict: Vec<_> = pairs.iter().map(pair).collect::<Parse<_>>()?;
                self.count(2 * dict.len())?;
                Object::Dict(dict)
            }
            (Object::Global(Global::RebuildTensor), &[storage, offset, size, stride, ..]) => {
                Object::Tensor(Box::new(self.tensor(storage, offset, size, stride)?))
            }
            (Object::Global(Global::RebuildParameter), &[tensor, ..]) => {
                match &self.values[tensor as usize] {
                    Object::Tensor(tensor) => Object::Tensor(tensor.clone()),
                    _ => return Err(damaged(at)),
                }
            }
            _ => return Err(damaged(at)),
        };
        self.push(value)
    }

    fn tensor(&self, storage: Id, offset: Id, size: Id, stride: Id) -> Parse<TensorObject<'a>> {
        let value = |id: Id| &self.values[id as usize];
        let Object::Storage(storage) = *value(storage) else {
            return Err(damaged(self.at));
        };
        let natural = |id: Id| match *value(id) {
            Object::Int(i) => u64::try_from(i).map_err(|_| {
                format!("a tensor in it has the extent, stride or offset {i}, which is negative")
            }),
            _ => Err(damaged(self.at)),
        };
        let naturals = |id: Id| match value(id) {
            // PyTorch itself stops at 64 extents, weights at four.
            Object::Tuple(items) if items.len() <= 8 => {
                items.iter().map(|&i| natural(i).map(|n| n as usize)).collect()
            }
            _ => Err(damaged(self.at)),
        };
        let (size, stride): (Vec<_>, Vec<_>) = (naturals(size)?, naturals(stride)?);
        if size.len() != stride.len() {
            return Err(damaged(self.at));
        }
        Ok(TensorObject { storage, offset: natural(offset)?, size, stride })
    }

    /// A persistent id: ('storage', class, key, device, count), and the view in old files.
    fn storage(&mut self) -> Parse<()> {
        let at = self.at;
        let id = self.pop()?;
        let value = |id: Id| &self.values[id as usize];
        let Object::Tuple(items) = value(id) else { return Err(damaged(at)) };
        let (&[tag, class, key, _device, count], rest) =
            items.split_first_chunk::<5>().ok_or_else(|| damaged(at))?;
        let (
            &Object::Text("storage"),
            &Object::Global(Global::Storage(kind)),
            &Object::Text(key),
            &Object::Int(count),
        ) = (value(tag), value(class), value(key), value(count))
        else {
            return Err(damaged(at));
        };
        let view = match rest.first().map(|&id| value(id)) {
            None | Some(Object::None) => 0,
            Some(Object::Tuple(view)) => match view.get(1).map(|&id| value(id)) {
                Some(&Object::Int(offset)) => u64::try_from(offset).map_err(|_| damaged(at))?,
                _ => return Err(damaged(at)),
            },
            Some(_) => return Err(damaged(at)),
        };
        let count = u64::try_from(count).map_err(|_| damaged(at))?;
        self.push(Object::Storage(Storage { key, kind, count, view }))
    }
}

fn damaged(at: usize) -> String {
    format!("its pickle is damaged, or no state dict, at byte {at}")
}

fn refused(module: &str, name: &str) -> String {
    let what = foreign::object(module, name).map(|what| format!(" but {what}"));
    format!(
        "it wants to load {module}.{name}, so it is not a plain state dict{}; save \
         `network.state_dict()` with torch.save",
        what.unwrap_or_default()
    )
}
