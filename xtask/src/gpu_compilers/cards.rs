/// A graphics card that a driver of Mesa can be made to compile for.
#[derive(Clone, Copy, Debug)]
pub struct Card {
    /// Its name.
    pub name: &'static str,
    /// The driver.
    pub driver: Driver,
    /// What the driver calls the chip.
    chip: &'static str,
}

/// A Vulkan driver of Mesa.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// For AMD's cards.
    Radv,
    /// For NVIDIA's.
    Nvk,
    /// For Apple's chips.
    Honeykrisp,
    /// For Qualcomm's Adreno.
    Turnip,
}

/// All cards, and the figures of their drivers are in this order.
pub const CARDS: [Card; 9] = [
    Card { name: "RX 9070 XT", driver: Driver::Radv, chip: "gfx1201" },
    Card { name: "RX 7900 XTX", driver: Driver::Radv, chip: "navi31" },
    Card { name: "RX 6800", driver: Driver::Radv, chip: "navi21" },
    Card { name: "Vega", driver: Driver::Radv, chip: "vega10" },
    Card { name: "NVIDIA Turing", driver: Driver::Nvk, chip: "164" },
    Card { name: "NVIDIA Ampere", driver: Driver::Nvk, chip: "172" },
    Card { name: "NVIDIA Ada", driver: Driver::Nvk, chip: "192" },
    Card { name: "Apple M1", driver: Driver::Honeykrisp, chip: "" },
    Card { name: "Adreno 740", driver: Driver::Turnip, chip: "740" },
];

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
const DRIVERS: &str = "/usr/share/vulkan/icd.d";

impl Card {
    /// Returns true for the first card of its driver in [`CARDS`].
    pub fn is_first_of_driver(&self) -> bool {
        let first = CARDS.iter().find(|card| card.driver == self.driver);
        first.is_some_and(|card| card.name == self.name)
    }

    /// Returns the names and values of the environment variables under which the driver believes
    /// that the card is there: a shim answers in place of the kernel, and executes nothing.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let (shim, driver, chip) = match self.driver {
            Driver::Radv => ("amdgpu", "radeon", "AMDGPU_GPU_ID"),
            Driver::Nvk => ("nouveau", "nouveau", "NOUVEAU_CHIPSET"),
            Driver::Honeykrisp => ("asahi", "asahi", ""),
            Driver::Turnip => ("freedreno", "freedreno", "FD_GPU_ID"),
        };
        let mut all = vec![
            ("LD_PRELOAD", format!("{LIBRARIES}/lib{shim}_noop_drm_shim.so")),
            ("VK_DRIVER_FILES", format!("{DRIVERS}/{driver}_icd.json")),
        ];
        if !chip.is_empty() {
            all.push((chip, self.chip.to_owned()));
        }
        all
    }
}
