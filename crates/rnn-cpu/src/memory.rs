//! Host memory in areas, and simultaneous borrows of several ranges of it.

use bytemuck::{cast_slice, cast_slice_mut};
use memmap2::MmapMut;
use rnn_core::DType;
use rnn_graph::{Slice, SliceMut, TensorType};
use std::collections::BTreeMap;
use std::io;
use std::ops::{Deref, DerefMut};

/// A range of elements in one area of a [`Memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Index of the area.
    pub area: usize,
    /// Index of the first element.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}

/// All memory of a session, in areas: one for each resident, input and arena block. Each element
/// takes 32 bits, whatever its type.
#[derive(Debug, Default)]
pub struct Memory {
    areas: Vec<Area>,
}

/// Elements in the largest pages that the system offers: with small pages, tensors exceed the
/// processor's translation buffer.
#[derive(Debug, Default)]
struct Area(Option<MmapMut>);

impl Area {
    /// Allocates zeros.
    fn new(len: usize) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self(None));
        }
        let map = MmapMut::map_anon(len.saturating_mul(size_of::<u32>()))?;
        // Works without large pages as well.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self(Some(map)))
    }
}

impl Deref for Area {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        self.0.as_deref().map_or(&[], cast_slice)
    }
}

impl DerefMut for Area {
    fn deref_mut(&mut self) -> &mut [u32] {
        self.0.as_deref_mut().map_or(&mut [], cast_slice_mut)
    }
}

impl Memory {
    /// Adds an area of `len` zeros and returns its index.
    ///
    /// # Errors
    /// Fails if the system refuses the memory.
    pub fn add(&mut self, len: usize) -> io::Result<usize> {
        self.areas.push(Area::new(len)?);
        Ok(self.areas.len() - 1)
    }

    /// Returns the number of areas.
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Frees all areas but the first `n`. It does nothing if there are no more than `n`.
    pub fn truncate(&mut self, n: usize) {
        self.areas.truncate(n);
    }

    /// Ensures that an area has at least `len` elements. New elements are zero; the others keep
    /// their values.
    ///
    /// # Errors
    /// Fails if the system refuses the memory. The area is then unchanged.
    ///
    /// # Panics
    /// Panics if there is no such area.
    pub fn grow(&mut self, area: usize, len: usize) -> io::Result<()> {
        let area = &mut self.areas[area];
        if area.len() < len {
            let mut larger = Area::new(len)?;
            larger[..area.len()].copy_from_slice(area);
            *area = larger;
        }
        Ok(())
    }

    /// Returns the bits of the elements of a range.
    ///
    /// # Panics
    /// Panics if there is no such area or range.
    pub fn bits(&self, place: MemoryRange) -> &[u32] {
        &self.areas[place.area][place.offset..place.offset + place.len]
    }

    /// Returns the bits of the elements of a range, for changes.
    ///
    /// # Panics
    /// Panics if there is no such area or range.
    pub fn bits_mut(&mut self, place: MemoryRange) -> &mut [u32] {
        &mut self.areas[place.area][place.offset..place.offset + place.len]
    }

    /// Copies the elements of the range `from` to the range `to` of the same length. The ranges may
    /// overlap.
    ///
    /// # Panics
    /// Panics if a range does not exist, or the ranges differ in length.
    pub fn copy(&mut self, from: MemoryRange, to: MemoryRange) {
        let elements = self.bits(from).to_vec();
        self.bits_mut(to).copy_from_slice(&elements);
    }

    /// Returns the elements of a range as floats or integers, according to `ty`. Half-precision
    /// tensors are stored in single precision and returned as floats.
    ///
    /// # Panics
    /// Panics if there is no such area or range.
    pub fn slice(&self, place: MemoryRange, ty: &TensorType) -> Slice<'_, f32> {
        let bits = self.bits(place);
        match ty.dtype {
            DType::F32 | DType::F16 => Slice::Float(cast_slice(bits)),
            DType::U32 => Slice::Uint(bits),
        }
    }

    /// Takes the areas of these ranges out of the memory, so that they can be written while other
    /// areas are read. Until [`Self::attach`] they are empty in the memory.
    ///
    /// # Panics
    /// Panics if there is no such area.
    pub fn detach(&mut self, places: &[MemoryRange]) -> Detached {
        let mut areas = BTreeMap::new();
        for place in places {
            areas.entry(place.area).or_insert_with(|| std::mem::take(&mut self.areas[place.area]));
        }
        Detached { areas }
    }

    /// Puts the areas that [`Self::detach`] took back in their places.
    pub fn attach(&mut self, detached: Detached) {
        for (area, data) in detached.areas {
            self.areas[area] = data;
        }
    }
}

/// Areas that [`Memory::detach`] took out of a [`Memory`] while one node writes them.
#[derive(Debug)]
pub struct Detached {
    areas: BTreeMap<usize, Area>,
}

impl Detached {
    /// Returns the elements of the ranges `places`, in that order, as slices of floats or integers
    /// according to `types`. A range in an area that was not detached becomes an empty slice.
    ///
    /// # Panics
    /// Panics if a range exceeds its area, or ranges overlap, which the planner rules out.
    pub fn slices<'a>(
        &'a mut self,
        places: &[MemoryRange],
        types: impl Iterator<Item = &'a TensorType>,
    ) -> Vec<SliceMut<'a, f32>> {
        let types: Vec<_> = types.collect();
        let mut parts: Vec<Option<&'a mut [u32]>> = places.iter().map(|_| None).collect();
        for (area, data) in &mut self.areas {
            let mut inside: Vec<usize> =
                (0..places.len()).filter(|&i| places[i].area == *area).collect();
            inside.sort_by_key(|&i| places[i].offset);
            let (mut rest, mut start) = (&mut data[..], 0);
            for i in inside {
                let (_, tail) = rest.split_at_mut(places[i].offset - start);
                let (part, tail) = tail.split_at_mut(places[i].len);
                parts[i] = Some(part);
                rest = tail;
                start = places[i].offset + places[i].len;
            }
        }
        parts
            .into_iter()
            .zip(types)
            .map(|(part, ty)| {
                let bits = part.unwrap_or(&mut []);
                match ty.dtype {
                    DType::F32 | DType::F16 => SliceMut::Float(cast_slice_mut(bits)),
                    DType::U32 => SliceMut::Uint(bits),
                }
            })
            .collect()
    }
}
