use crate::device::Gpu;
use crate::program::{BoundDispatch, CompiledProgram};
use crate::readback::Readback;
use rnn_graph::{DeviceError, Profile};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Timestamps around every dispatch of a session.
pub(crate) struct Timing {
    /// Nanoseconds per tick.
    period: f64,
    /// Query sets by program, created at its first run.
    queries: HashMap<usize, Queries>,
    /// Runs whose timestamps have not been read, oldest first.
    pending: VecDeque<(usize, Readback)>,
    profile: Profile,
}

/// Query sets for two timestamps per dispatch.
struct Queries {
    sets: Vec<wgpu::QuerySet>,
    resolved: wgpu::Buffer,
    bytes: u64,
}

/// Dispatches per query set.
const PER_SET: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

/// Bytes of the two timestamps of one dispatch.
const PAIR: usize = 2 * wgpu::QUERY_SIZE as usize;

impl Timing {
    /// Creates an empty profile. `period` is the number of nanoseconds per tick of the device's
    /// timestamps.
    pub fn new(period: f64) -> Self {
        Self {
            period,
            queries: HashMap::new(),
            pending: VecDeque::new(),
            profile: Profile::default(),
        }
    }

    /// Queues a run of the program of index `index` in the session. Each dispatch has a compute
    /// pass of its own, between two timestamps.
    ///
    /// # Errors
    /// Fails with [`DeviceError::OutOfMemory`] if there is no memory for the timestamps, and with
    /// the device's fault if there is one.
    pub fn run(
        &mut self,
        gpu: &Gpu,
        index: usize,
        program: &CompiledProgram,
    ) -> Result<(), DeviceError> {
        let queries = match self.queries.remove(&index) {
            Some(queries) => queries,
            None => Queries::new(gpu, program.dispatches.len())?,
        };
        let staging = Readback::staging(gpu, queries.bytes)?;
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let mut ends = program.submissions(gpu).into_iter().map(|range| range.end).peekable();
        for (i, dispatch) in program.dispatches.iter().enumerate() {
            if ends.next_if_eq(&i).is_some() {
                gpu.submit(std::mem::replace(
                    &mut encoder,
                    gpu.device.create_command_encoder(&Default::default()),
                ))?;
            }
            let first = 2 * (i % PER_SET) as u32;
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(dispatch.op),
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &queries.sets[i / PER_SET],
                    beginning_of_pass_write_index: Some(first),
                    end_of_pass_write_index: Some(first + 1),
                }),
            });
            dispatch.encode(&mut pass);
        }
        queries.resolve(&mut encoder, &staging, program.dispatches.len());
        let readback = Readback::submit(gpu, encoder, staging, queries.bytes)?;
        self.queries.insert(index, queries);
        self.pending.push_back((index, readback));
        Ok(())
    }

    /// Reads the timestamps of the oldest runs until at most `limit` runs are unread, and returns
    /// the profile of all runs read so far. `programs` are the session's programs by index.
    ///
    /// # Errors
    /// Fails if the device is lost or hangs.
    pub fn drain(
        &mut self,
        gpu: &Gpu,
        programs: &[CompiledProgram],
        limit: usize,
    ) -> Result<&Profile, DeviceError> {
        while self.pending.len() > limit
            && let Some((index, readback)) = self.pending.pop_front()
        {
            let (period, profile) = (self.period, &mut self.profile);
            readback.finish(gpu, |stamps| {
                account(&programs[index].dispatches, stamps, period, profile)
            })?;
        }
        Ok(&self.profile)
    }
}

impl Queries {
    fn new(gpu: &Gpu, dispatches: usize) -> Result<Self, DeviceError> {
        gpu.guarded(|| {
            let set = |count: usize| {
                gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("timestamps"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2 * count as u32,
                })
            };
            let sets = (0..dispatches.div_ceil(PER_SET))
                .map(|i| set(PER_SET.min(dispatches - i * PER_SET)))
                .collect();
            let bytes = (dispatches * PAIR) as u64;
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            Ok(Self { sets, resolved: gpu.buffer("timestamps", bytes, usage)?, bytes })
        })
    }

    fn resolve(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        staging: &wgpu::Buffer,
        dispatches: usize,
    ) {
        for (i, set) in self.sets.iter().enumerate() {
            let first = i * PER_SET;
            let count = 2 * PER_SET.min(dispatches - first) as u32;
            encoder.resolve_query_set(set, 0..count, &self.resolved, (first * PAIR) as u64);
        }
        if self.bytes > 0 {
            encoder.copy_buffer_to_buffer(&self.resolved, 0, staging, 0, self.bytes);
        }
    }
}

/// Adds the times of one run. Consecutive dispatches of a node count as one call.
fn account(dispatches: &[BoundDispatch], stamps: &[u8], period: f64, profile: &mut Profile) {
    let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(stamps);
    let mut previous = None;
    for (dispatch, pair) in dispatches.iter().zip(stamps.chunks_exact(2)) {
        // Some drivers' clocks occasionally run backwards.
        let ticks = pair[1].saturating_sub(pair[0]);
        let time = Duration::from_nanos((ticks as f64 * period) as u64);
        let calls = u64::from(previous != Some(dispatch.node));
        profile.add(dispatch.op, calls, time, dispatch.cost);
        previous = Some(dispatch.node);
    }
}
