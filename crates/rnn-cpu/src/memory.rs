//! Host memory by area, and the borrowing of several parts of it at once.

use bytemuck::{cast_slice, cast_slice_mut};
use memmap2::MmapMut;
use rnn_core::DType;
use rnn_graph::{Slice, SliceMut, TensorType};
use std::collections::BTreeMap;
use std::io;
use std::ops::{Deref, DerefMut};

/// Elements of one area: a resident, an input or a block of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub area: usize,
    pub offset: usize,
    pub len: usize,
}

/// All areas of a session; elements are kept as bits, whatever their type.
#[derive(Debug, Default)]
pub struct Memory {
    areas: Vec<Area>,
}

/// Elements, in pages as large as the system gives: of small ones, tensors have more than the
/// processor remembers the addresses of.
#[derive(Debug, Default)]
struct Area(Option<MmapMut>);

impl Area {
    /// Zeros.
    fn new(len: usize) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self(None));
        }
        let map = MmapMut::map_anon(len.saturating_mul(size_of::<u32>()))?;
        // Without large pages it works as well.
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
    /// A new area of zeros.
    pub fn add(&mut self, len: usize) -> io::Result<usize> {
        self.areas.push(Area::new(len)?);
        Ok(self.areas.len() - 1)
    }

    /// The number of areas.
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Gives back the areas from the nth on.
    pub fn truncate(&mut self, n: usize) {
        self.areas.truncate(n);
    }

    /// Makes sure that an area has at least `len` elements.
    pub fn grow(&mut self, area: usize, len: usize) -> io::Result<()> {
        let area = &mut self.areas[area];
        if area.len() < len {
            let mut larger = Area::new(len)?;
            larger[..area.len()].copy_from_slice(area);
            *area = larger;
        }
        Ok(())
    }

    /// The elements of a place.
    pub fn bits(&self, place: Place) -> &[u32] {
        &self.areas[place.area][place.offset..place.offset + place.len]
    }

    /// The elements of a place, to write.
    pub fn bits_mut(&mut self, place: Place) -> &mut [u32] {
        &mut self.areas[place.area][place.offset..place.offset + place.len]
    }

    /// Copies a place to another of its length.
    pub fn copy(&mut self, from: Place, to: Place) {
        let elements = self.bits(from).to_vec();
        self.bits_mut(to).copy_from_slice(&elements);
    }

    /// The elements of a place under their type.
    pub fn slice(&self, place: Place, ty: &TensorType) -> Slice<'_, f32> {
        let bits = self.bits(place);
        match ty.dtype {
            DType::F32 | DType::F16 => Slice::Float(cast_slice(bits)),
            DType::U32 => Slice::Uint(bits),
        }
    }

    /// Takes the areas of these places out, so that they can be written while others are read.
    pub fn detach(&mut self, places: &[Place]) -> Detached {
        let mut areas = BTreeMap::new();
        for place in places {
            areas.entry(place.area).or_insert_with(|| std::mem::take(&mut self.areas[place.area]));
        }
        Detached { areas }
    }

    /// Puts detached areas back.
    pub fn attach(&mut self, detached: Detached) {
        for (area, data) in detached.areas {
            self.areas[area] = data;
        }
    }
}

/// Areas that one node writes.
#[derive(Debug)]
pub struct Detached {
    areas: BTreeMap<usize, Area>,
}

impl Detached {
    /// The places as slices, in the order given. They must not overlap: the planner's promise.
    pub fn slices<'a>(
        &'a mut self,
        places: &[Place],
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
