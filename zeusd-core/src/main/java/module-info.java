/** The devices of one machine, their power and energy, for embedding. */
module dev.zeusd.core {
  requires dev.zeusd.ffm;

  exports dev.zeusd.core;
  exports dev.zeusd.core.command;
  exports dev.zeusd.core.device;
  exports dev.zeusd.core.energy;
  exports dev.zeusd.core.history;
  exports dev.zeusd.core.sampling;
  exports dev.zeusd.core.settings;
  exports dev.zeusd.core.simulated;
  exports dev.zeusd.core.worker;
}
