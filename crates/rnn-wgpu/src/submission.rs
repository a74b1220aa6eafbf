//! Work of an open GPU: buffers, submissions, and the errors that come of them.

use crate::device::Gpu;
use crate::faults::Fault;
use crate::options::VariantChoice;
use rnn_graph::{DeviceError, Dispatch, Recording};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

/// Buffers are multiples of the strictest offset alignment of WebGPU.
const BUFFER_GRANULE: u64 = wgpu::QUERY_RESOLVE_BUFFER_ALIGNMENT;

impl Gpu {
    /// Replaces each dispatch of the recording by the variant that
    /// [`Options::variants`](crate::Options::variants) says. For [`VariantChoice::Fastest`] it
    /// measures kernels that were not measured before. With
    /// [`Options::falls_back`](crate::Options::falls_back), a variant that the driver refuses is replaced
    /// by the first that it compiles.
    ///
    /// # Errors
    /// Fails if the device is lost or hangs, or refuses the launch chosen and each of its variants.
    pub fn select_variants(&self, recording: &mut Recording) -> Result<(), DeviceError> {
        match self.variants {
            VariantChoice::First => {}
            VariantChoice::Nth(n) => recording.dispatches_mut().for_each(|d| d.select_variant(n)),
            VariantChoice::Fastest => self.tuning.choose(self, recording)?,
        }
        if self.falls_back {
            recording.dispatches_mut().try_for_each(|dispatch| self.avoid_refusal(dispatch))?;
        }
        Ok(())
    }

    /// Selects the first variant that the driver compiles, if it refuses the present one.
    fn avoid_refusal(&self, dispatch: &mut Dispatch) -> Result<(), DeviceError> {
        let compile = |dispatch: &Dispatch| self.pipelines.get(self, dispatch).map(drop);
        let refused = match compile(dispatch) {
            Err(error @ DeviceError::Refused { .. }) => error,
            compiled => return compiled,
        };
        for variant in 1..=dispatch.variants.len() {
            dispatch.select_variant(variant);
            match compile(dispatch) {
                Err(DeviceError::Refused { .. }) => {}
                compiled => return compiled,
            }
        }
        Err(refused)
    }

    /// Creates a zeroed buffer of at least `bytes` bytes and at least four, for `usage`. `what`
    /// names it in errors.
    ///
    /// # Errors
    /// Fails with [`DeviceError::OutOfMemory`] if `bytes` exceeds the device's largest buffer.
    /// Other failures are reported through [`Self::guarded`] or [`Self::check`].
    pub fn buffer(
        &self,
        what: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, DeviceError> {
        let max = self.device.limits().max_buffer_size;
        if bytes > max {
            return Err(self.faults.error(Fault::OutOfMemory(format!(
                "{what} needs {bytes} bytes, one buffer holds at most {max}"
            ))));
        }
        Ok(self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(what),
            size: bytes.max(4).next_multiple_of(BUFFER_GRANULE).min(max),
            usage,
            mapped_at_creation: false,
        }))
    }

    /// Runs `create`, and returns wgpu's errors from it instead of recording them as the device's
    /// fault, so that the caller can retry with less.
    ///
    /// # Errors
    /// Fails with the device's fault if there is one, with the error of `create`, with
    /// [`DeviceError::OutOfMemory`] if wgpu lacks memory, and with [`DeviceError::Refused`] if wgpu
    /// refuses a call.
    pub fn guarded<T>(
        &self,
        create: impl FnOnce() -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        self.check()?;
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let created = create();
        // Scopes are a stack: the last pushed is popped first. An invalid object made of one that
        // could not be allocated is a consequence, so lack of memory is reported first.
        let (internal, validation) =
            (pollster::block_on(internal.pop()), pollster::block_on(validation.pop()));
        let memory = pollster::block_on(memory.pop());
        if let Some(error) = memory.or(validation).or(internal) {
            return Err(self.explain(error.into()));
        }
        self.check()?;
        created
    }

    /// Submits the commands in `encoder` to the device's queue. Returns the submission's index, for
    /// [`Self::wait`].
    ///
    /// # Errors
    /// Fails with the device's fault if there is one.
    pub fn submit(
        &self,
        encoder: wgpu::CommandEncoder,
    ) -> Result<wgpu::SubmissionIndex, DeviceError> {
        let index = self.queue.submit([encoder.finish()]);
        self.check()?;
        Ok(index)
    }

    /// Checks that the device has no fault.
    ///
    /// # Errors
    /// Fails with the error of the recorded fault.
    pub fn check(&self) -> Result<(), DeviceError> {
        match self.faults.check() {
            Err(DeviceError::Refused { message, .. }) => Err(self.explain(Fault::Refused(message))),
            checked => checked,
        }
    }

    /// Returns the error of `fault`, or the error of the recorded fault if that explains it: a lost
    /// device or lack of memory. A lost device refuses commands before it reports the loss at a
    /// poll, so for a refused command the device is polled first, for up to a second.
    pub fn explain(&self, fault: Fault) -> DeviceError {
        if matches!(fault, Fault::Refused(_)) {
            let timeout = Some(Duration::from_secs(1));
            let wait = wgpu::PollType::Wait { submission_index: None, timeout };
            let _ = catch_unwind(AssertUnwindSafe(|| self.device.poll(wait)));
        }
        match self.faults.check() {
            Err(error @ (DeviceError::Lost { .. } | DeviceError::OutOfMemory { .. })) => error,
            _ => self.faults.error(fault),
        }
    }

    /// Runs the callbacks of finished submissions. It does not block.
    ///
    /// # Errors
    /// Fails with the device's fault if there is one.
    pub fn poll(&self) -> Result<(), DeviceError> {
        self.poll_with(wgpu::PollType::Poll)
    }

    /// Blocks until a submission has finished and its callbacks have run.
    ///
    /// # Errors
    /// Fails with the device's fault if there is one, and with [`DeviceError::Timeout`] if the
    /// submission has not finished within the device's patience.
    pub fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), DeviceError> {
        self.poll_with(wgpu::PollType::Wait {
            submission_index: Some(submission),
            timeout: Some(self.patience),
        })
    }

    fn poll_with(&self, how: wgpu::PollType) -> Result<(), DeviceError> {
        self.check()?;
        // wgpu 30 reports a device lost during a poll by a panic (`handle_error_fatal`), after the
        // lost callback has run; its locks do not poison.
        let polled = catch_unwind(AssertUnwindSafe(|| self.device.poll(how)));
        self.check()?;
        self.conclude(polled.map(|polled| polled.map(drop)))
    }

    /// Turns the result of a poll of the device, or the panic that ended it, into a
    /// [`DeviceError`]. A timeout is recorded as the device's fault.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Timeout`] if the poll timed out, with [`DeviceError::Lost`] if it
    /// panicked, and otherwise with [`DeviceError::Refused`], or the fault that explains it, if
    /// wgpu returned an error.
    pub fn conclude(
        &self,
        polled: thread::Result<Result<(), wgpu::PollError>>,
    ) -> Result<(), DeviceError> {
        match polled {
            Ok(Ok(())) => Ok(()),
            Ok(Err(wgpu::PollError::Timeout)) => {
                self.faults.record(Fault::Timeout(self.patience));
                // A queue that is dropped waits for its work, which may never end.
                std::mem::forget(self.queue.clone());
                self.check()
            }
            Ok(Err(error)) => Err(self.explain(Fault::Refused(error.to_string()))),
            Err(_) => Err(self.faults.error(Fault::Lost("it failed during a wait".into()))),
        }
    }
}
