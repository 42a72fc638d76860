package dev.zeusd.core.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.StateDirectory;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuSelector;
import dev.zeusd.core.settings.LeaseRequest.OnEnd;
import dev.zeusd.core.settings.Restored.Outcome;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.core.worker.NanoClock;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class LeasesTest {
  private static final Duration TTL = Duration.ofSeconds(30);
  private static final Set<SettingKey> LIMIT = EnumSet.of(SettingKey.POWER_LIMIT);
  private static final Set<SettingKey> ALL = EnumSet.allOf(SettingKey.class);

  private final List<ModelGpu> models = List.of(new ModelGpu(0), new ModelGpu(1));
  private final List<DeviceWorker<Gpu>> gpus =
      models.stream().map(gpu -> new DeviceWorker<Gpu>(gpu.info().id(), "gpu", gpu)).toList();
  private final AtomicLong nanos = new AtomicLong();
  private final List<Leases> open = new ArrayList<>();

  @TempDir Path dir;

  @AfterEach
  void close() {
    open.forEach(Leases::close);
    DeviceWorker.closeAll(gpus);
  }

  private Leases open(Baseline baseline) {
    Leases leases =
        new Leases(() -> gpus, Optional.of(dir), baseline, nanos::get, LeaseObserver.NONE);
    open.add(leases);
    return leases;
  }

  /** A daemon that goes on after the last one was killed. */
  private Leases open() {
    return open(Baseline.none());
  }

  private static LeaseRequest request(String holder, OnEnd onEnd) {
    return new LeaseRequest(holder, TTL, Duration.ZERO, onEnd);
  }

  private static Lease take(Leases leases, Set<SettingKey> keys, Integer... ids) {
    return leases.take(leases.settings(List.of(ids), keys), request("alice", OnEnd.RESTORE));
  }

  private void write(SettingAccess access, int gpu, SettingValue value) {
    gpus.get(gpu)
        .call(
            device -> {
              access.write(device, value);
              return true;
            });
  }

  private static SettingValue limit(long mw) {
    return new SettingValue.PowerLimit(mw);
  }

  private static Setting setting(int gpu, SettingKey key) {
    return new Setting("GPU-" + gpu, key);
  }

  private void step(Leases leases) {
    leases.step();
    // Behind what that has started.
    gpus.forEach(gpu -> gpu.call(device -> true));
  }

  private void pass(Duration time) {
    nanos.addAndGet(time.toNanos());
  }

  @Test
  void whatALeaseHasChangedComesBackAndNothingElse() {
    Leases leases = open();
    models.get(0).limitMw = 250_000;
    models.get(0).persistence = true;
    Lease lease = take(leases, ALL, 0, 1);
    assertEquals(limit(250_000), lease.saved().get(setting(0, SettingKey.POWER_LIMIT)));
    write(lease, 0, limit(200_000));
    write(lease, 0, limit(150_000));
    write(lease, 0, new SettingValue.PersistenceMode(false));
    write(lease, 0, new SettingValue.GpuClocks(Optional.of(new SettingValue.ClockRange(300, 900))));
    assertEquals("300-900", models.get(0).gpuClocks);
    List<String> writes = new ArrayList<>();
    models.get(0).onWrite = writes::add;
    models.get(1).onWrite = writes::add;
    Map<Setting, Restored> results = lease.end();
    assertEquals(List.of("gpu clocks", "limit 250000", "persistence true"), writes);
    assertEquals(Outcome.RESTORED, results.get(setting(0, SettingKey.POWER_LIMIT)).outcome());
    assertEquals(Outcome.UNCHANGED, results.get(setting(0, SettingKey.MEM_CLOCKS)).outcome());
    assertEquals(Outcome.UNCHANGED, results.get(setting(1, SettingKey.POWER_LIMIT)).outcome());
    assertEquals(List.of(), leases.list());
    assertFalse(leases.isInUse());
    assertThrows(LeaseException.Ended.class, lease::end);
  }

  @Test
  void clocksThatWereSetWithoutALeaseComeBackAsTheyWere() {
    Leases leases = open();
    SettingValue before =
        new SettingValue.MemClocks(Optional.of(new SettingValue.ClockRange(500, 600)));
    write(leases.unleased(), 0, before);
    Lease lease = take(leases, ALL, 0);
    assertEquals(before, lease.saved().get(setting(0, SettingKey.MEM_CLOCKS)));
    write(lease, 0, new SettingValue.MemClocks(Optional.empty()));
    lease.end();
    assertEquals("500-600", models.get(0).memClocks);
    // And a lease knows what the one before has left.
    try (Lease keeps = leases.take(leases.settings(List.of(0), ALL), request("bob", OnEnd.KEEP))) {
      write(keeps, 0, new SettingValue.MemClocks(Optional.of(new SettingValue.ClockRange(1, 2))));
    }
    assertEquals("1-2", models.get(0).memClocks);
    models.get(0).reload();
    Lease last = take(leases, ALL, 0);
    assertEquals(
        new SettingValue.MemClocks(Optional.empty()),
        last.saved().get(setting(0, SettingKey.MEM_CLOCKS)));
  }

  @Test
  void nobodyElseGetsWhatIsHeld() {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0);
    LeaseException.Held held =
        assertThrows(LeaseException.Held.class, () -> take(leases, ALL, 1, 0));
    assertEquals("alice", held.holder());
    assertEquals(TTL.toMillis(), held.expiresInMs());
    assertTrue(held.getMessage().contains("power_limit of GPU 0"), held.getMessage());
    assertEquals(1, leases.list().size());
    DeviceException refused =
        assertThrows(
            DeviceException.HeldByLease.class, () -> write(leases.unleased(), 0, limit(100_000)));
    assertTrue(refused.getMessage().contains("alice"), refused.getMessage());
    // What it does not hold is as ever.
    write(leases.unleased(), 1, limit(123_000));
    write(leases.unleased(), 0, new SettingValue.PersistenceMode(true));
    assertEquals(123_000, models.get(1).limitMw);
    assertThrows(
        LeaseException.NotCovered.class,
        () -> lease.check(List.of(setting(1, SettingKey.POWER_LIMIT))));
    lease.end();
    take(leases, ALL, 1, 0).end();
  }

  @Test
  void aLeaseThatIsNotRenewedExpiresAndOneThatIsKeptDoesNot() {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0);
    write(lease, 0, limit(200_000));
    pass(TTL.minusSeconds(1));
    lease.renew();
    pass(TTL.minusSeconds(1));
    step(leases);
    assertEquals(200_000, models.get(0).limitMw);
    Lease.Keeper keeper = lease.keep();
    pass(TTL.multipliedBy(10));
    step(leases);
    assertEquals(200_000, models.get(0).limitMw);
    keeper.close();
    pass(TTL.minusNanos(1));
    step(leases);
    assertEquals(200_000, models.get(0).limitMw);
    pass(Duration.ofNanos(1));
    step(leases);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
    // Whoever embeds this knows nothing of requests.
    String ended = "lease " + lease.epoch() + " of alice has ended";
    assertEquals(ended, assertThrows(LeaseException.Ended.class, lease::renew).getMessage());
    assertEquals(
        ended,
        assertThrows(DeviceException.LeaseEnded.class, () -> write(lease, 0, limit(100_000)))
            .getMessage());
    assertEquals(
        "there is no such lease, or it has ended",
        assertThrows(LeaseException.Ended.class, () -> leases.find(lease.id())).getMessage());
  }

  @Test
  void aWriteThatWasQueuedDoesNotReachTheDriverAfterTheLease() throws Exception {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0);
    write(lease, 0, limit(200_000));
    CountDownLatch busy = new CountDownLatch(1);
    gpus.get(0).submit(device -> await(busy));
    CompletableFuture<Boolean> queued =
        gpus.get(0)
            .submit(
                device -> {
                  lease.write(device, limit(100_000));
                  return true;
                });
    pass(TTL);
    leases.step();
    CompletableFuture<Boolean> late =
        gpus.get(0)
            .submit(
                device -> {
                  lease.write(device, limit(110_000));
                  return true;
                });
    busy.countDown();
    assertThrows(DeviceException.LeaseEnded.class, () -> Answer.await(queued));
    assertThrows(DeviceException.LeaseEnded.class, () -> Answer.await(late));
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
  }

  private static boolean await(CountDownLatch latch) {
    try {
      return latch.await(30, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void whatSomebodyElseHasSetMeanwhileIsLeft() {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0, 1);
    write(lease, 0, limit(200_000));
    write(lease, 0, limit(210_000));
    write(lease, 1, limit(200_000));
    models.get(0).limitMw = 200_000;
    Map<Setting, Restored> results = lease.end();
    assertEquals(Outcome.OVERRIDDEN, results.get(setting(0, SettingKey.POWER_LIMIT)).outcome());
    assertEquals(Outcome.RESTORED, results.get(setting(1, SettingKey.POWER_LIMIT)).outcome());
    assertEquals(200_000, models.get(0).limitMw);
  }

  @Test
  void whatWasSetBetweenTakingAndWritingIsWhatComesBack() {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0);
    models.get(0).limitMw = 222_000;
    write(lease, 0, limit(200_000));
    // Also over a crash.
    lease.end();
    assertEquals(222_000, models.get(0).limitMw);
  }

  @Test
  void whatFailsIsTriedAgainShownBlocksNobodyAndIsHandedOn() {
    Leases leases = open();
    models.get(0).limitMw = 250_000;
    Lease first = take(leases, LIMIT, 0, 1);
    write(first, 0, limit(200_000));
    write(first, 1, limit(200_000));
    models.get(0).failsToWrite = true;
    Map<Setting, Restored> results = first.end();
    Restored failed = results.get(setting(0, SettingKey.POWER_LIMIT));
    assertEquals(Outcome.PENDING, failed.outcome());
    assertTrue(failed.problem().contains("does not take it"), failed.problem());
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(1).limitMw);
    LeaseInfo pending = leases.list().getFirst();
    assertEquals(LeaseState.PENDING, pending.state());
    assertEquals(first.id(), pending.id());
    assertEquals(List.of(setting(0, SettingKey.POWER_LIMIT)), pending.settings());
    // With back-off: not at once.
    models.get(0).failsToWrite = false;
    step(leases);
    assertEquals(200_000, models.get(0).limitMw);
    Lease second = take(leases, LIMIT, 0);
    assertEquals(limit(250_000), second.saved().get(setting(0, SettingKey.POWER_LIMIT)));
    assertEquals(1, leases.list().size());
    write(second, 0, limit(100_000));
    models.get(0).lost = true;
    assertEquals(Outcome.PENDING, second.end().get(setting(0, SettingKey.POWER_LIMIT)).outcome());
    models.get(0).lost = false;
    pass(Duration.ofSeconds(40));
    step(leases);
    assertEquals(250_000, models.get(0).limitMw);
    assertEquals(List.of(), leases.list());
  }

  @Test
  void afterAReloadOfTheDriverItIsTriedAtOnceAndADefaultIsNotSomebodyElsesValue() {
    Leases leases = open();
    models.get(0).limitMw = 250_000;
    Lease lease = take(leases, LIMIT, 0);
    write(lease, 0, limit(200_000));
    models.get(0).lost = true;
    lease.end();
    models.get(0).lost = false;
    models.get(0).reload();
    step(leases);
    assertEquals(250_000, models.get(0).limitMw);
  }

  /** On a thread of its own; returns when it is in the line. */
  private Thread waitFor(Leases leases, String name, Duration patience, List<String> order) {
    int before = leases.waiting();
    Thread thread =
        Thread.ofPlatform()
            .start(
                () -> {
                  LeaseRequest request = new LeaseRequest(name, TTL, patience, OnEnd.RESTORE);
                  try (Lease mine = leases.take(leases.settings(List.of(0), LIMIT), request)) {
                    order.add(mine.holder());
                  } catch (LeaseException.Held e) {
                    order.add("not " + name);
                  }
                });
    while (thread.isAlive() && leases.waiting() == before) {
      Thread.onSpinWait();
    }
    return thread;
  }

  @Test
  void whoeverHasWaitedFindsEverythingPutBack() throws Exception {
    Leases leases = open();
    List<Setting> wanted = leases.settings(List.of(0), LIMIT);
    LeaseRequest patient =
        new LeaseRequest("bob", TTL, Duration.ofSeconds(30), LeaseRequest.OnEnd.RESTORE);
    for (int round = 0; round < 50; round++) {
      Lease lease = take(leases, LIMIT, 0);
      long before = models.get(0).limitMw;
      write(lease, 0, limit(150_000));
      int waiting = leases.waiting();
      CompletableFuture<Long> found =
          CompletableFuture.supplyAsync(
              () -> {
                Lease next = leases.take(wanted, patient);
                long limitMw = models.get(0).limitMw;
                next.end();
                return limitMw;
              });
      Await.until("it is in the line", () -> leases.waiting() == waiting + 1);
      assertEquals(Outcome.RESTORED, lease.end().get(setting(0, SettingKey.POWER_LIMIT)).outcome());
      assertEquals(before, found.get());
    }
  }

  @Test
  void theLogOfWritesStaysShortHoweverLongALeaseLasts() throws Exception {
    try (Leases leases =
            new Leases(
                () -> gpus,
                Optional.of(dir),
                Baseline.none(),
                NanoClock.SYSTEM,
                LeaseObserver.NONE);
        Lease lease = take(leases, LIMIT, 0)) {
      for (int i = 0; i < 10_000; i++) {
        write(lease, 0, limit(100_000 + i));
      }
      Await.until("the log is short", () -> bytesOfLogs() <= 1 << 17);
    }
  }

  private long bytesOfLogs() {
    long bytes = 0;
    try {
      for (Path file : logs()) {
        bytes += Files.exists(file) ? Files.size(file) : 0;
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes;
  }

  private List<Path> logs() throws IOException {
    try (Stream<Path> files = Files.list(dir)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith("lease-writes-"))
          .toList();
    }
  }

  @Test
  void ofALogThatIsFarTooLongTheEndIsRead() throws Exception {
    write(take(open(), LIMIT, 0), 0, limit(150_000));
    Path log = dir.resolve("lease-writes-0");
    byte[] lines = Files.readAllBytes(log);
    try (RandomAccessFile file = new RandomAccessFile(log.toFile(), "rw")) {
      file.setLength(0);
      // More than fits into memory, or into an array; it takes no place on the disk.
      file.seek(3L << 30);
      file.write(lines);
    }
    Leases next = open();
    pass(TTL);
    step(next);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
  }

  /** A folder, a link that leads nowhere, and a FIFO, which nobody ever writes to. */
  @Test
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void logsThatAreNoFilesCostThemselves() throws Exception {
    write(take(open(), LIMIT, 0), 0, limit(150_000));
    Files.createDirectories(dir.resolve("lease-writes-1/x"));
    Files.createSymbolicLink(dir.resolve("lease-writes-2"), dir.resolve("nowhere"));
    String fifo = dir.resolve("lease-writes-3").toString();
    assertEquals(0, new ProcessBuilder("mkfifo", fifo).start().waitFor());
    Leases next = open();
    pass(TTL);
    step(next);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
    assertTrue(next.isCrashSafe());
    write(take(next, LIMIT, 0), 0, limit(160_000));
    assertTrue(Files.isRegularFile(dir.resolve("lease-writes-4")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"leases", "lease-writes-0", "leases lease-writes-0"})
  void stateFilesThatAreRemovedAreWrittenAnewBeforeTheNextWrite(String names) throws IOException {
    Lease lease = take(open(), LIMIT, 0, 1);
    write(lease, 0, limit(150_000));
    for (String name : names.split(" ")) {
      Files.delete(dir.resolve(name));
    }
    // Another GPU's, so that the first one's is known from before only.
    write(lease, 1, limit(160_000));
    Leases next = open();
    pass(TTL);
    step(next);
    for (ModelGpu gpu : models) {
      assertEquals(ModelGpu.DEFAULT_LIMIT_MW, gpu.limitMw);
    }
  }

  @Test
  void whereTheStateDirectoryIsRemovedNothingIsSetUntilItIsThereAgain() throws IOException {
    Lease lease = take(open(), LIMIT, 0, 1);
    write(lease, 0, limit(150_000));
    try (Stream<Path> files = Files.list(dir)) {
      files.forEach(file -> assertTrue(file.toFile().delete()));
    }
    Files.delete(dir);
    for (int i = 0; i < 2; i++) {
      DeviceException e =
          assertThrows(DeviceException.Failed.class, () -> write(lease, 1, limit(160_000)));
      assertTrue(e.getMessage().contains("its directory is gone; make it again"), e.getMessage());
      assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(1).limitMw);
    }
    Files.createDirectory(dir);
    write(lease, 1, limit(160_000));
    Leases next = open();
    pass(TTL);
    step(next);
    for (ModelGpu gpu : models) {
      assertEquals(ModelGpu.DEFAULT_LIMIT_MW, gpu.limitMw);
    }
  }

  /** A start may find it with another zeusd that has not ended yet, or with the wrong owner. */
  @Test
  void aStateDirectoryThatCouldNotBeOpenedIsTriedAgainAndWhatIsThereIsKnownThen() throws Exception {
    Lease before = take(open(), LIMIT, 0, 1);
    write(before, 0, limit(150_000));
    write(before, 1, limit(150_000));
    Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwxrwxrwx"));
    Leases leases = open();
    assertFalse(leases.isCrashSafe());
    Lease lease = take(leases, ALL, 0);
    write(lease, 0, limit(160_000));
    for (int second = 0; second < 12; second++) {
      pass(Duration.ofSeconds(1));
      step(leases);
      assertFalse(leases.isCrashSafe());
    }
    Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwx------"));
    pass(Duration.ofSeconds(10));
    step(leases);
    assertTrue(leases.isCrashSafe());
    // The lease of before goes on with what nobody has taken; the other inherits the original.
    assertEquals(List.of(setting(1, SettingKey.POWER_LIMIT)), leases.find(before.id()).settings());
    write(lease, 0, limit(170_000));
    Leases next = open();
    pass(TTL);
    step(next);
    for (ModelGpu gpu : models) {
      assertEquals(ModelGpu.DEFAULT_LIMIT_MW, gpu.limitMw);
    }
    assertEquals(List.of(), next.list());
  }

  @Test
  void aLockThatIsRemovedIsTakenAgainBeforeTheNextWrite() throws Exception {
    Lease lease = take(open(), LIMIT, 0);
    write(lease, 0, limit(150_000));
    Files.delete(dir.resolve(".lock"));
    write(lease, 0, limit(160_000));
    assertTrue(Files.exists(dir.resolve(".lock")));
    assertTrue(StateDirectory.open(dir).isLocked());
  }

  @Test
  void whatTheDriverRefusesHasChangedNothing() {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0, 1);
    write(lease, 1, limit(200_000));
    for (int gpu = 0; gpu < 2; gpu++) {
      int id = gpu;
      SettingValue refused = limit(ModelGpu.MAX_LIMIT_MW + 1);
      assertThrows(DeviceException.InvalidArgument.class, () -> write(lease, id, refused));
    }
    Map<Setting, Restored> results = lease.end();
    assertEquals(Outcome.UNCHANGED, results.get(setting(0, SettingKey.POWER_LIMIT)).outcome());
    assertEquals(Outcome.RESTORED, results.get(setting(1, SettingKey.POWER_LIMIT)).outcome());
  }

  @Test
  void tenThousandLeasesLeaveNothingBehind() throws IOException {
    Path memory = Path.of("/dev/shm");
    if (Files.isWritable(memory)) {
      // None of them waits for a disk.
      dir = Files.createTempDirectory(memory, "leases");
    }
    Leases leases = open();
    for (int i = 0; i < 10_000; i++) {
      try (Lease lease = take(leases, ALL, i % 2)) {
        write(lease, i % 2, limit(100_000 + i));
      }
    }
    step(leases);
    assertEquals(List.of(), leases.list());
    assertFalse(leases.isInUse());
    assertTrue(Files.size(dir.resolve("leases")) < 1000);
    for (Path log : logs()) {
      assertTrue(Files.size(log) < 1 << 17, log + " is long");
    }
    assertEquals(List.of(), open().list());
    try (Stream<Path> files = Files.list(dir)) {
      files.forEach(file -> assertTrue(file.toFile().delete()));
    }
    assertTrue(dir.toFile().delete());
  }

  @Test
  void whoeverComesFirstIsServedFirst() throws Exception {
    Leases leases = open();
    for (int round = 0; round < 50; round++) {
      Lease lease = take(leases, LIMIT, 0);
      List<String> order = new CopyOnWriteArrayList<>();
      List<Thread> waiting = new ArrayList<>();
      for (String name : List.of("one", "two", "three")) {
        waiting.add(waitFor(leases, name, Duration.ofSeconds(30), order));
      }
      lease.end();
      for (Thread thread : waiting) {
        thread.join();
      }
      assertEquals(List.of("one", "two", "three"), order);
    }
  }

  @Test
  void whoWaitsIsNotWokenByWhatDoesNotConcernIt() throws Exception {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0);
    List<String> order = new CopyOnWriteArrayList<>();
    List<Thread> waiting = new ArrayList<>();
    for (int i = 0; i < 30; i++) {
      waiting.add(waitFor(leases, "one of many", Duration.ofSeconds(30), order));
    }
    long wokenBefore = waits(waiting);
    for (int i = 0; i < 20; i++) {
      take(leases, LIMIT, 1).end();
    }
    // Some may just have been on their way into the line.
    assertTrue(waits(waiting) - wokenBefore < 60, "woken: " + (waits(waiting) - wokenBefore));
    lease.end();
    for (Thread thread : waiting) {
      thread.join();
    }
    assertEquals(30, order.size());
  }

  /** How often these threads have begun to wait for something. */
  private static long waits(List<Thread> threads) {
    long[] ids = threads.stream().mapToLong(Thread::threadId).toArray();
    return Arrays.stream(ManagementFactory.getThreadMXBean().getThreadInfo(ids))
        .mapToLong(ThreadInfo::getWaitedCount)
        .sum();
  }

  @Test
  void whoGivesUpTakesNobodyElsesPlaceInTheLine() throws Exception {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0);
    List<String> order = new CopyOnWriteArrayList<>();
    Thread first = waitFor(leases, "first", Duration.ofSeconds(30), order);
    waitFor(leases, "second", Duration.ofMillis(20), order).join();
    Thread third = waitFor(leases, "third", Duration.ofSeconds(30), order);
    lease.end();
    first.join();
    third.join();
    assertEquals(List.of("not second", "first", "third"), order);
  }

  @Test
  void afterAKillTheClientMayGoOnForOneTtlAndThenAllComesBack() throws IOException {
    Leases killed = open();
    models.get(0).limitMw = 250_000;
    Lease lease = take(killed, LIMIT, 0);
    write(lease, 0, limit(200_000));
    write(lease, 0, limit(210_000));
    assertEquals("rw-------", permissions("leases"));
    assertEquals("rw-------", permissions("lease-writes-0"));

    Leases next = open();
    assertEquals(LeaseState.ORPHANED, next.list().getFirst().state());
    assertEquals("alice", next.list().getFirst().holder());
    Lease again = next.find(lease.id(), lease.epoch());
    assertThrows(LeaseException.Ended.class, () -> next.find(lease.id(), lease.epoch() + 1));
    write(again, 0, limit(220_000));
    assertEquals(LeaseState.ACTIVE, next.list().getFirst().state());

    Leases third = open();
    assertThrows(LeaseException.Held.class, () -> take(third, LIMIT, 0));
    pass(TTL);
    step(third);
    assertEquals(250_000, models.get(0).limitMw);
    assertEquals(List.of(), third.list());
    Lease later = take(third, LIMIT, 0);
    assertTrue(later.epoch() > lease.epoch());

    Leases last = open();
    assertEquals(1, last.list().size());
    last.close();
    assertEquals(List.of(), open().list());
  }

  private String permissions(String file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(dir.resolve(file)));
  }

  @Test
  void clocksThatWereSetWithoutALeaseAreKnownAfterAKill() {
    Leases killed = open();
    SettingValue before =
        new SettingValue.GpuClocks(Optional.of(new SettingValue.ClockRange(300, 600)));
    write(killed.unleased(), 0, before);
    step(killed);
    Leases next = open();
    Lease lease = take(next, ALL, 0);
    assertEquals(before, lease.saved().get(setting(0, SettingKey.GPU_CLOCKS)));
    write(lease, 0, new SettingValue.GpuClocks(Optional.empty()));
    lease.end();
    assertEquals("300-600", models.get(0).gpuClocks);
    // Until the driver forgets them.
    models.get(0).reload();
    assertEquals(
        new SettingValue.GpuClocks(Optional.empty()),
        take(next, ALL, 0).saved().get(setting(0, SettingKey.GPU_CLOCKS)));
  }

  @Test
  void ofSeveralKillsWithinWritesNoneMakesOurOwnValueSomebodyElses() {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0);
    write(lease, 0, limit(200_000));
    for (long mw : List.of(210_000, 220_000)) {
      // The driver does not get it.
      models.get(0).onWrite =
          value -> {
            throw new IllegalStateException("killed");
          };
      Lease again = leases.find(lease.id());
      assertThrows(IllegalStateException.class, () -> write(again, 0, limit(mw)));
      models.get(0).onWrite = value -> {};
      leases = open();
    }
    assertEquals(200_000, models.get(0).limitMw);
    leases.find(lease.id()).end();
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
  }

  @Test
  void afterAKillSomebodyElsesValueIsLeft() {
    Lease lease = take(open(), LIMIT, 0);
    write(lease, 0, limit(200_000));
    models.get(0).limitMw = 123_000;
    Leases next = open();
    pass(TTL);
    step(next);
    assertEquals(123_000, models.get(0).limitMw);
    assertEquals(List.of(), next.list());
  }

  @Test
  void aStateFileThatIsDamagedIsSetAside() throws IOException {
    take(open(), LIMIT, 0);
    Files.writeString(dir.resolve("leases"), "nonsense");
    Leases next = open();
    assertEquals(List.of(), next.list());
    assertTrue(Files.exists(dir.resolve("leases.damaged")));
    take(next, LIMIT, 0);
  }

  /** After a return to this version. */
  @Test
  void whatALaterVersionAddsCostsItselfAlone() throws IOException {
    write(take(open(), LIMIT, 0), 0, limit(200_000));
    StateDirectory state = StateDirectory.open(dir);
    List<String> lines = new ArrayList<>(state.read("leases").orElseThrow());
    lines.stream()
        .filter(line -> line.contains(" power_limit "))
        .toList()
        .forEach(line -> lines.add(line.replace(" power_limit ", " fan_speed ")));
    state.write("leases", lines);
    for (String written : List.of("99 1 GPU-0 fan_speed 70", "100 1 GPU-0 power_limit 70%")) {
      CRC32 sum = new CRC32();
      sum.update(written.getBytes(StandardCharsets.UTF_8));
      Files.writeString(
          dir.resolve("lease-writes-0"),
          "\n" + written + " " + Long.toHexString(sum.getValue()) + "\n",
          StandardOpenOption.APPEND);
    }
    Leases next = open();
    pass(TTL);
    step(next);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
    assertFalse(Files.exists(dir.resolve("leases.damaged")));
  }

  @Test
  void withoutAPlaceForItThereIsNoLeaseAndNothingIsHeld() throws IOException {
    Leases leases = open();
    take(leases, LIMIT, 0).end();
    Files.delete(dir.resolve("leases"));
    Files.createDirectory(dir.resolve(".leases.new"));
    Files.createFile(dir.resolve(".leases.new/x"));
    LeaseException.NotSaved e =
        assertThrows(LeaseException.NotSaved.class, () -> take(leases, LIMIT, 0));
    assertTrue(e.getMessage().contains("leases cannot be written"), e.getMessage());
    assertFalse(leases.isInUse());
    write(leases.unleased(), 0, limit(200_000));
  }

  @Test
  void aStopPutsBackWhatItCanAndTheRestIsForTheNextStart() {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0, 1);
    write(lease, 0, limit(200_000));
    write(lease, 1, limit(200_000));
    models.get(0).lost = true;
    leases.close();
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(1).limitMw);
    models.get(0).lost = false;
    Leases next = open();
    step(next);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
  }

  @Test
  void aBaselineIsSetAtStartAndAfterAReloadAndIsWhatLeasesGoBackTo() {
    Setting limit = setting(0, SettingKey.POWER_LIMIT);
    Leases leases = open(new Baseline(List.of(of(new GpuSelector.Uuid("gpu-0"), limit(240_000)))));
    step(leases);
    assertEquals(240_000, models.get(0).limitMw);
    write(leases.unleased(), 0, limit(230_000));
    Lease lease = take(leases, LIMIT, 0);
    assertEquals(limit(240_000), lease.saved().get(limit));
    write(lease, 0, limit(200_000));
    models.get(0).reload();
    step(leases);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
    lease.end();
    step(leases);
    assertEquals(240_000, models.get(0).limitMw);
    models.get(0).reload();
    step(leases);
    assertEquals(240_000, models.get(0).limitMw);
  }

  private static Baseline.Entry of(GpuSelector gpu, SettingValue... values) {
    return new Baseline.Entry(List.of(gpu), List.of(values));
  }

  private static Baseline.Entry ofAll(SettingValue... values) {
    return new Baseline.Entry(List.of(), List.of(values));
  }

  @Test
  void aBaselineNamesGpusByIdOrUuidAndTheLastWordCounts() {
    SettingValue clocks =
        new SettingValue.GpuClocks(Optional.of(new SettingValue.ClockRange(300, 900)));
    Leases leases =
        open(
            new Baseline(
                List.of(
                    ofAll(limit(240_000), clocks),
                    of(new GpuSelector.Index(1), limit(250_000), limit(260_000)))));
    step(leases);
    assertEquals(240_000, models.get(0).limitMw);
    assertEquals(260_000, models.get(1).limitMw);
    assertEquals("300-900", models.get(1).gpuClocks);
    assertFalse(leases.isInUse());
    // Somebody without a lease may change it, until a lease ends or the driver is reloaded.
    write(leases.unleased(), 0, limit(100_000));
    step(leases);
    assertEquals(100_000, models.get(0).limitMw);
    Lease lease = take(leases, ALL, 0, 1);
    assertEquals(clocks, lease.saved().get(setting(0, SettingKey.GPU_CLOCKS)));
    write(lease, 0, limit(110_000));
    write(lease, 0, new SettingValue.GpuClocks(Optional.empty()));
    lease.end();
    assertEquals(240_000, models.get(0).limitMw);
    assertEquals("300-900", models.get(0).gpuClocks);
  }

  @Test
  void aBaselineMayBeReplacedAndOneThatFailsIsShownUntilThen() {
    Leases leases = open(new Baseline(List.of(ofAll(limit(240_000)))));
    step(leases);
    Lease lease = take(leases, LIMIT, 1);
    write(lease, 1, limit(100_000));
    models.get(0).failsToWrite = true;
    leases.setBaseline(new Baseline(List.of(ofAll(limit(250_000)))));
    step(leases);
    LeaseInfo pending = leases.list().getLast();
    assertEquals("baseline", pending.holder());
    assertEquals(LeaseState.PENDING, pending.state());
    assertEquals(100_000, models.get(1).limitMw);
    leases.setBaseline(new Baseline(List.of(ofAll(limit(260_000)))));
    models.get(0).failsToWrite = false;
    step(leases);
    assertEquals(260_000, models.get(0).limitMw);
    lease.end();
    step(leases);
    assertEquals(260_000, models.get(1).limitMw);
    // Nobody asks for anything any more.
    leases.setBaseline(Baseline.none());
    models.get(0).reload();
    step(leases);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
  }

  /** As one for all GPUs, of which some are smaller. */
  @Test
  void whatAGpuCannotHaveIsNotWhatLeasesGoBackTo() {
    Baseline impossible = new Baseline(List.of(ofAll(limit(ModelGpu.MAX_LIMIT_MW + 1))));
    Leases leases = open(impossible);
    step(leases);
    Lease lease = take(leases, LIMIT, 0, 1);
    assertEquals(
        limit(ModelGpu.DEFAULT_LIMIT_MW), lease.saved().get(setting(0, SettingKey.POWER_LIMIT)));
    assertThrows(
        DeviceException.InvalidArgument.class,
        () -> write(lease, 1, limit(ModelGpu.MAX_LIMIT_MW + 2)));
    write(lease, 0, limit(100_000));
    assertEquals(Outcome.RESTORED, lease.end().get(setting(0, SettingKey.POWER_LIMIT)).outcome());
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(0).limitMw);
    // Of the other one, nothing was changed: it is still asked for.
    assertEquals(List.of("baseline"), leases.list().stream().map(LeaseInfo::holder).toList());
    write(take(leases, LIMIT, 1), 1, limit(100_000));
    Leases next = open(impossible);
    pass(TTL);
    step(next);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(1).limitMw);
  }

  @Test
  void aBaselineThatComesBackIsSetOnceMore() {
    Baseline baseline = new Baseline(List.of(ofAll(limit(240_000))));
    Leases leases = open(baseline);
    step(leases);
    leases.setBaseline(Baseline.none());
    write(leases.unleased(), 0, limit(200_000));
    Lease lease = take(leases, LIMIT, 0);
    write(lease, 0, limit(100_000));
    leases.setBaseline(baseline);
    step(leases);
    assertEquals(100_000, models.get(0).limitMw);
    lease.end();
    step(leases);
    assertEquals(240_000, models.get(0).limitMw);
    // What goes on asking for the same leaves alone what somebody has set since.
    write(leases.unleased(), 0, limit(200_000));
    leases.setBaseline(new Baseline(List.of(ofAll(limit(240_000)))));
    step(leases);
    assertEquals(200_000, models.get(0).limitMw);
  }

  @Test
  void aBaselineOfWhatAGpuDoesNotHaveIsSaidAndNotTriedAgain() {
    models.get(0).hasModule = false;
    SettingValue module = new SettingValue.ModulePowerLimit(2_500_000);
    Leases leases = open(new Baseline(List.of(ofAll(module, limit(240_000)))));
    step(leases);
    assertEquals(2_500_000, models.get(1).moduleLimitMw);
    assertEquals(240_000, models.get(0).limitMw, "what it has is set");
    assertEquals(List.of(), leases.list());
    assertFalse(leases.isInUse());
    // After a reload it may be another driver, which is asked once more.
    models.get(0).hasModule = true;
    pass(Duration.ofHours(1));
    assertEquals(ModelGpu.DEFAULT_MODULE_LIMIT_MW, models.get(0).moduleLimitMw);
    models.get(0).reload();
    step(leases);
    assertEquals(2_500_000, models.get(0).moduleLimitMw);
  }

  @Test
  void aHungGpuDelaysNoOther() throws Exception {
    Leases leases = open();
    Lease lease = take(leases, LIMIT, 0, 1);
    write(lease, 0, limit(200_000));
    write(lease, 1, limit(200_000));
    CountDownLatch hang = new CountDownLatch(1);
    models.get(0).onWrite = value -> await(hang);
    pass(TTL);
    leases.step();
    gpus.get(1).call(device -> true);
    assertEquals(ModelGpu.DEFAULT_LIMIT_MW, models.get(1).limitMw);
    assertEquals(LeaseState.PENDING, leases.list().getFirst().state());
    // Whoever comes next gets it after a moment, and the original with it.
    Lease next =
        CompletableFuture.supplyAsync(
                () -> {
                  hang.countDown();
                  return take(leases, LIMIT, 0);
                })
            .get();
    assertEquals(
        limit(ModelGpu.DEFAULT_LIMIT_MW), next.saved().get(setting(0, SettingKey.POWER_LIMIT)));
  }
}
