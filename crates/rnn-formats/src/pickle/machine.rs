//! The stack machine.

use super::PickleError;
use super::opcode as op;
use super::reader::Reader;
use super::value::{Global, List, Value};
use crate::budget::OverBudget;

/// The state of the machine. Arena indices fit 32 bits, because no arena has more entries than
/// the pickle has bytes.
pub(super) struct Machine<'a> {
    reader: Reader<'a>,
    stack: Vec<Value>,
    /// The heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: Vec<Value>,
    tuples: Vec<Value>,
    lists: Vec<List>,
    array: Construction,
    /// The items of all lists.
    items: u64,
    /// Bytes that all of this may take.
    memory: u64,
}

/// The state of the one array of the pickle.
#[derive(Clone, Copy, PartialEq)]
enum Construction {
    Absent,
    Empty,
    /// Filled with the items of this list.
    Filled(Value),
}

impl<'a> Machine<'a> {
    /// Creates a machine that is about to run the pickle in `input`, in so many bytes of memory.
    pub fn new(input: &'a [u8], memory: u64) -> Self {
        Self {
            reader: Reader::new(input),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            tuples: Vec::new(),
            lists: Vec::new(),
            array: Construction::Absent,
            items: 0,
            memory,
        }
    }

    /// Runs the program to its end and returns the lists of the array that it leaves on the stack.
    ///
    /// # Errors
    /// Fails with [`PickleError::Callable`] if the program refers to another callable, and with
    /// [`PickleError::Content`] if it is malformed or does not leave such an array.
    pub fn run(mut self) -> Result<Vec<Vec<i64>>, PickleError> {
        loop {
            if self.bytes() > self.memory {
                return Err(OverBudget.into());
            }
            match self.reader.opcode()? {
                op::STOP => return self.stop(),
                op::PROTO => {
                    self.reader.array::<1>()?;
                }
                op::FRAME => {
                    self.reader.array::<8>()?;
                }
                op::MARK => self.marks.push(self.stack.len()),
                op::POP_MARK => {
                    let mark = self.mark()?;
                    self.stack.truncate(mark);
                }
                op::POP => {
                    self.pop()?;
                }
                op::PUT => {
                    let index = self.reader.decimal_size()?;
                    self.put(index)?;
                }
                op::BINPUT => {
                    let index = self.reader.size::<1>()?;
                    self.put(index)?;
                }
                op::LONG_BINPUT => {
                    let index = self.reader.size::<4>()?;
                    self.put(index)?;
                }
                op::MEMOIZE => self.put(self.memo.len())?,
                op::APPEND => {
                    let item = self.pop()?;
                    self.extend(&[item])?;
                }
                op::APPENDS => {
                    let mark = self.mark()?;
                    let items = self.stack.split_off(mark);
                    self.extend(&items)?;
                }
                op::BUILD => self.build()?,
                opcode => {
                    let value = self.value(opcode)?;
                    self.stack.push(value);
                }
            }
        }
    }

    /// The memory that is taken, with room for arenas that grow, and for the lists of the result.
    fn bytes(&self) -> u64 {
        let values = self.stack.len() + self.memo.len() + self.tuples.len() + self.marks.len();
        48 * values as u64 + 128 * self.lists.len() as u64 + 24 * self.items
    }

    /// The value that an opcode pushes.
    fn value(&mut self, opcode: u8) -> Result<Value, PickleError> {
        let reader = &mut self.reader;
        match opcode {
            op::NONE => Ok(Value::None),
            op::NEWTRUE => Ok(Value::Bool(true)),
            op::NEWFALSE => Ok(Value::Bool(false)),
            op::BININT1 => Ok(Value::Int(u8::from_le_bytes(reader.array()?).into())),
            op::BININT2 => Ok(Value::Int(u16::from_le_bytes(reader.array()?).into())),
            op::BININT => Ok(Value::Int(i32::from_le_bytes(reader.array()?).into())),
            op::INT => reader.int(),
            op::LONG => reader.decimal().map(Value::Int),
            op::LONG1 => {
                let len = reader.size::<1>()?;
                reader.long(len).map(Value::Int)
            }
            op::LONG4 => {
                let len = reader.size::<4>()?;
                reader.long(len).map(Value::Int)
            }
            op::SHORT_BINSTRING | op::SHORT_BINBYTES | op::SHORT_BINUNICODE => {
                reader.counted::<1>()
            }
            op::BINSTRING | op::BINBYTES | op::BINUNICODE => reader.counted::<4>(),
            op::BINUNICODE8 | op::BINBYTES8 => reader.counted::<8>(),
            op::STRING => reader.text_line(true),
            op::UNICODE => reader.text_line(false),
            op::DUP => self.top(),
            op::GET => {
                let index = reader.decimal_size()?;
                self.get(index)
            }
            op::BINGET => {
                let index = reader.size::<1>()?;
                self.get(index)
            }
            op::LONG_BINGET => {
                let index = reader.size::<4>()?;
                self.get(index)
            }
            op::EMPTY_LIST => Ok(self.list(&[])),
            op::LIST => {
                let mark = self.mark()?;
                let items = self.stack.split_off(mark);
                Ok(self.list(&items))
            }
            op::EMPTY_TUPLE => Ok(self.tuple(self.stack.len())),
            op::TUPLE => {
                let mark = self.mark()?;
                Ok(self.tuple(mark))
            }
            op::TUPLE1 => self.tuple_of(1),
            op::TUPLE2 => self.tuple_of(2),
            op::TUPLE3 => self.tuple_of(3),
            op::GLOBAL => {
                let (module, name) = (reader.line()?, reader.line()?);
                self.global(module, name)
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.reader.resolve(module), self.reader.resolve(name)) {
                    (Some(module), Some(name)) => self.global(module, name),
                    _ => Err(self.error("a callable is not named by strings")),
                }
            }
            op::REDUCE => self.reduce(),
            _ => Err(self.error(format!("opcode 0x{opcode:02x} has no place in such an array"))),
        }
    }

    fn error(&self, problem: impl Into<String>) -> PickleError {
        self.reader.content(problem)
    }

    /// The part of the stack above the topmost mark may be taken; what lies below may not.
    fn top(&self) -> Result<Value, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(floor..).unwrap_or_default();
        above.last().copied().ok_or_else(|| self.error("an opcode finds the stack empty"))
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    /// Removes the topmost mark and returns the height of the stack at which it was set.
    fn mark(&mut self) -> Result<usize, PickleError> {
        self.marks.pop().ok_or_else(|| self.error("an opcode finds no mark on the stack"))
    }

    /// Picklers number the memo densely; a gap is refused, so that the memo stays small.
    fn put(&mut self, index: usize) -> Result<(), PickleError> {
        let value = self.top()?;
        if index == self.memo.len() {
            self.memo.push(value);
        } else if let Some(slot) = self.memo.get_mut(index) {
            *slot = value;
        } else {
            return Err(self.error(format!("memo entry {index} leaves a gap")));
        }
        Ok(())
    }

    fn get(&self, index: usize) -> Result<Value, PickleError> {
        let missing = || self.error(format!("memo entry {index} was never stored"));
        self.memo.get(index).copied().ok_or_else(missing)
    }

    fn list(&mut self, items: &[Value]) -> Value {
        let mut list = List::new();
        list.extend(items);
        self.items += items.len() as u64;
        self.lists.push(list);
        Value::List((self.lists.len() - 1) as u32)
    }

    fn extend(&mut self, items: &[Value]) -> Result<(), PickleError> {
        let target = self.top()?;
        let Value::List(index) = target else {
            return Err(self.error(format!("cannot append to {}", target.kind())));
        };
        if let Some(list) = self.lists.get_mut(index as usize) {
            list.extend(items);
            self.items += items.len() as u64;
        }
        Ok(())
    }

    /// A tuple of all values above `height`, which the caller knows to be within the stack.
    fn tuple(&mut self, height: usize) -> Value {
        let start = self.tuples.len();
        self.tuples.extend(self.stack.drain(height..));
        Value::Tuple { start: start as u32, len: (self.tuples.len() - start) as u32 }
    }

    fn tuple_of(&mut self, len: usize) -> Result<Value, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(len) {
            Some(height) if height >= floor => Ok(self.tuple(height)),
            _ => Err(self.error("an opcode finds too few values on the stack")),
        }
    }

    fn items(&self, tuple: Value) -> Option<&[Value]> {
        match tuple {
            Value::Tuple { start, len } => {
                self.tuples.get(start as usize..start as usize + len as usize)
            }
            _ => None,
        }
    }

    fn global(&self, module: &[u8], name: &[u8]) -> Result<Value, PickleError> {
        let found = Global::find(module, name);
        found.map(Value::Global).ok_or_else(|| self.reader.callable(module, name))
    }

    fn reduce(&mut self) -> Result<Value, PickleError> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let text = |value: &Value| self.reader.resolve(*value);
        match (callable, self.items(arguments)) {
            (Value::Global(Global::Reconstruct), Some([Value::Global(Global::NdArray), _, _])) => {
                if self.array != Construction::Absent {
                    return Err(self.error("a second array begins"));
                }
                self.array = Construction::Empty;
                Ok(Value::Array)
            }
            (Value::Global(Global::Dtype), Some([name, ..]))
                if text(name).is_some_and(|name| name.starts_with(b"O")) =>
            {
                Ok(Value::ObjectType)
            }
            (Value::Global(Global::Encode), Some([string, encoding]))
                if text(encoding) == Some(b"latin1") && text(string).is_some() =>
            {
                Ok(*string)
            }
            _ => Err(self.error("NumPy does not rebuild an object array by such a call")),
        }
    }

    /// BUILD hands a state to the object below it.
    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        match (self.top()?, self.items(state)) {
            (Value::ObjectType, Some(_)) => Ok(()),
            // The state of an array: version, shape, data type, Fortran order, elements.
            (
                Value::Array,
                Some(&[Value::Int(_), shape, Value::ObjectType, Value::Bool(_), list]),
            ) => {
                let elements = match list {
                    Value::List(index) => self.lists.get(index as usize).map_or(0, List::len),
                    other => {
                        let problem = format!("the elements are {}, not a list", other.kind());
                        return Err(self.error(problem));
                    }
                };
                match self.items(shape) {
                    Some([Value::Int(len)]) if usize::try_from(*len) == Ok(elements) => {
                        self.array = Construction::Filled(list);
                        Ok(())
                    }
                    _ => Err(self.error(format!(
                        "the array holds {elements} elements, but its shape is not [{elements}]"
                    ))),
                }
            }
            (target, _) => Err(self.error(format!("{} has an unknown state", target.kind()))),
        }
    }

    fn stop(mut self) -> Result<Vec<Vec<i64>>, PickleError> {
        let (Value::Array, Construction::Filled(Value::List(outer))) = (self.pop()?, self.array)
        else {
            return Err(self.error("the pickle holds no filled array"));
        };
        let elements = match self.lists.get(outer as usize) {
            Some(List::Values(values)) => values.as_slice(),
            Some(List::Ints(ints)) if !ints.is_empty() => {
                return Err(self.error("array element 0 is an integer, not a list"));
            }
            _ => &[],
        };
        let mut room = self.reader.len();
        let mut result = Vec::with_capacity(elements.len());
        for (i, element) in elements.iter().enumerate() {
            let Value::List(index) = *element else {
                let problem = format!("array element {i} is {}, not a list", element.kind());
                return Err(self.error(problem));
            };
            let Some(List::Ints(ints)) = self.lists.get(index as usize) else {
                let problem = format!("array element {i} is a list of more than plain integers");
                return Err(self.error(problem));
            };
            // Each integer took a byte at least, unless lists are shared.
            room = room.checked_sub(ints.len()).ok_or_else(|| {
                self.error("shared lists make the array larger than the pickle itself")
            })?;
            result.push(ints.clone());
        }
        Ok(result)
    }
}
