package dev.zeusd.ffm.amdsmi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.ffm.amdsmi.raw.AmdSmi;
import dev.zeusd.ffm.driver.DriverText;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The GPUs that AMD SMI has found when it was initialised. Immutable. */
final class AmdSmiListing {
  /** No machine has more; a driver that counts more counts wrong. */
  private static final int MAX_GPUS = 1024;

  private final List<Listed> gpus;

  private AmdSmiListing(List<Listed> gpus) {
    this.gpus = List.copyOf(gpus);
  }

  /**
   * One of them.
   *
   * @param handle good until AMD SMI is shut down
   * @param uuid no other one's; empty if it is not told
   */
  record Listed(AmdSmiPlace place, MemorySegment handle, Optional<String> uuid) {}

  /** Of an AMD SMI that was never initialised. */
  static AmdSmiListing empty() {
    return new AmdSmiListing(List.of());
  }

  /** Asks for the GPUs in all sockets, for who may call. */
  static AmdSmiListing read(AmdSmiCalls calls) throws AmdSmiException {
    List<MemorySegment> handles = new ArrayList<>();
    for (MemorySegment socket : list(calls, AmdSmiFunction.GET_SOCKETS, MemorySegment.NULL)) {
      handles.addAll(list(calls, AmdSmiFunction.GET_PROCESSORS, socket));
    }
    Map<Long, Integer> sameAddress = new HashMap<>();
    Set<String> uuids = new HashSet<>();
    List<Listed> gpus = new ArrayList<>();
    for (MemorySegment handle : handles) {
      long bdf = bdf(calls, handle);
      AmdSmiPlace place = new AmdSmiPlace(bdf, sameAddress.merge(bdf, 1, Integer::sum) - 1);
      // The library makes UUIDs of serial numbers, which some GPUs do not tell, and parts of a GPU
      // share. The place on the bus makes them different, and outlives a reboot as well.
      Optional<String> uuid =
          uuid(calls, handle).map(told -> uuids.add(told) ? told : told + "@" + place);
      gpus.add(new Listed(place, handle, uuid));
    }
    return new AmdSmiListing(gpus);
  }

  private static List<MemorySegment> list(
      AmdSmiCalls calls, AmdSmiFunction function, MemorySegment socket) throws AmdSmiException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment count = call.allocateFrom(JAVA_INT, 0);
      function.check(get(calls, function, socket, count, MemorySegment.NULL));
      int many = count.get(JAVA_INT, 0);
      if (many < 0 || many > MAX_GPUS) {
        throw new AmdSmiException(function, Integer.toUnsignedString(many) + " of them");
      }
      MemorySegment handles = call.allocate(ADDRESS, Math.max(many, 1));
      if (many > 0) {
        function.check(get(calls, function, socket, count, handles));
      }
      List<MemorySegment> list = new ArrayList<>();
      for (int i = 0; i < Math.min(many, Math.max(count.get(JAVA_INT, 0), 0)); i++) {
        list.add(handles.getAtIndex(ADDRESS, i));
      }
      return list;
    }
  }

  private static int get(
      AmdSmiCalls calls,
      AmdSmiFunction function,
      MemorySegment socket,
      MemorySegment count,
      MemorySegment handles)
      throws AmdSmiException {
    return function == AmdSmiFunction.GET_SOCKETS
        ? calls.call(function, count, handles)
        : calls.call(function, socket, count, handles);
  }

  private static long bdf(AmdSmiCalls calls, MemorySegment handle) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment bdf = call.allocateFrom(JAVA_LONG, AmdSmiPlace.UNKNOWN);
      AmdSmiFunction.GET_BDF.check(calls.call(AmdSmiFunction.GET_BDF, handle, bdf));
      return bdf.get(JAVA_LONG, 0);
    } catch (AmdSmiException e) {
      return AmdSmiPlace.UNKNOWN;
    }
  }

  private static Optional<String> uuid(AmdSmiCalls calls, MemorySegment handle) {
    int size = AmdSmi.AMDSMI_GPU_UUID_SIZE();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment length = call.allocateFrom(JAVA_INT, size);
      MemorySegment uuid = call.allocate(size);
      AmdSmiFunction function = AmdSmiFunction.GET_UUID;
      function.check(calls.call(function, handle, length, uuid));
      return text(uuid);
    } catch (AmdSmiException e) {
      return Optional.empty();
    }
  }

  /** What stands before the first zero, if it is text. */
  static Optional<String> text(MemorySegment buffer) {
    String text = DriverText.read(buffer);
    return DriverText.isNone(text) ? Optional.empty() : Optional.of(text);
  }

  List<AmdSmiPlace> places() {
    return gpus.stream().map(Listed::place).toList();
  }

  /** The GPU at this place; empty if there is none any more. */
  Optional<Listed> find(AmdSmiPlace place) {
    for (Listed gpu : gpus) {
      if (gpu.place.equals(place)) {
        return Optional.of(gpu);
      }
    }
    return Optional.empty();
  }
}
