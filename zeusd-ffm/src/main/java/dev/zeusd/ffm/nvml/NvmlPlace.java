package dev.zeusd.ffm.nvml;

import dev.zeusd.ffm.nvml.NvmlDevice.PciAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * Which GPU a device is, and where it is now.
 *
 * <p>It is recognised by its UUID or, if that is not told, by its PCI address; one that tells
 * neither is the one at its index. For one thread at a time.
 */
final class NvmlPlace {
  private int index;
  private int searchedGeneration = -1;
  private Optional<PciAddress> knownPci = Optional.empty();

  /** Empty if it is not known. */
  private volatile String uuid;

  NvmlPlace(int index, String uuid) {
    this.index = index;
    this.uuid = uuid;
  }

  /** Where it was found last. */
  int index() {
    return index;
  }

  /** From any thread. */
  String uuid() {
    return uuid;
  }

  void learn(String told) {
    if (uuid.isEmpty()) {
      uuid = told;
    }
  }

  void learn(PciAddress told) {
    if (knownPci.isEmpty()) {
      knownPci = Optional.of(told);
    }
  }

  /** Its handle, for who has passed the gate in {@code generation}. */
  MemorySegment find(NvmlCalls calls, int generation) throws NvmlException {
    MemorySegment found = findThere(calls, generation);
    // Where it is now it stays, until NVML is initialised anew.
    searchedGeneration = generation;
    return found;
  }

  private MemorySegment findThere(NvmlCalls calls, int generation) throws NvmlException {
    try {
      MemorySegment found = NvmlLibrary.handle(calls, index);
      if (isThis(calls, found, true)) {
        return found;
      }
    } catch (NvmlException e) {
      // Most likely it is still this GPU's place.
      Optional<MemorySegment> elsewhere = search(calls, generation);
      if (elsewhere.isPresent()) {
        return elsewhere.get();
      }
      // So the driver calls an index that it does not have.
      throw e.result() == NvmlReturn.INVALID_ARGUMENT ? notListed() : e;
    }
    return search(calls, generation).orElseThrow(this::notListed);
  }

  private NvmlException notListed() {
    return new NvmlException(
        "the driver no longer lists the GPU "
            + (uuid.isEmpty() ? "with index " + index : uuid)
            + "; nvidia-smi -L shows those that it does",
        NvmlReturn.GPU_NOT_FOUND);
  }

  /**
   * Looks at all places, once for each initialisation, since it asks GPUs that nobody wants. One
   * that does not answer does not hide those behind it.
   */
  private Optional<MemorySegment> search(NvmlCalls calls, int generation) throws NvmlException {
    boolean isKnown = !uuid.isEmpty() || knownPci.isPresent();
    if (!isKnown || searchedGeneration == generation) {
      return Optional.empty();
    }
    searchedGeneration = generation;
    int count = NvmlLibrary.count(calls);
    for (int candidate = 0; candidate < count; candidate++) {
      try {
        MemorySegment found = NvmlLibrary.handle(calls, candidate);
        if (isThis(calls, found, false)) {
          index = candidate;
          return Optional.of(found);
        }
      } catch (NvmlException e) {
        continue;
      }
    }
    return Optional.empty();
  }

  /**
   * Whether this is the device, as far as that is told.
   *
   * @param ifUntold what holds where it cannot be told
   */
  private boolean isThis(NvmlCalls calls, MemorySegment found, boolean ifUntold) {
    try {
      String told = NvmlLibrary.uuidOf(calls, found);
      if (ifUntold) {
        learn(told);
      }
      if (!uuid.isEmpty()) {
        return uuid.equals(told);
      }
    } catch (NvmlException e) {
      // One fact less.
    }
    return knownPci.isPresent() ? isAtKnownAddress(calls, found, ifUntold) : ifUntold;
  }

  private boolean isAtKnownAddress(NvmlCalls calls, MemorySegment found, boolean ifUntold) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment pci = PciAddress.untouched(call);
      NvmlFunction.GET_PCI_INFO.check(calls.call(NvmlFunction.GET_PCI_INFO, found, pci));
      return knownPci.orElseThrow().equals(PciAddress.of(pci));
    } catch (NvmlException e) {
      return ifUntold;
    }
  }
}
