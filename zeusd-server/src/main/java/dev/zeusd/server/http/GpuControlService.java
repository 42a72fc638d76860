package dev.zeusd.server.http;

import static dev.zeusd.server.ApiGroup.GPU_CONTROL;

import dev.zeusd.core.Node;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.device.GpuInfo;
import dev.zeusd.core.settings.Lease;
import dev.zeusd.core.settings.SettingAccess;
import dev.zeusd.core.worker.Answer;
import dev.zeusd.core.worker.DeviceWorker;
import dev.zeusd.server.connection.QueuePlaces;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.connection.TryLater;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** The group gpu-control. */
public final class GpuControlService {
  private static final System.Logger LOG = System.getLogger(GpuControlService.class.getName());
  private static final String GPU_IDS = "gpu_ids";
  private static final String BLOCK = "block";

  private final Node node;
  private final Shares shares;
  private final SettingRights rights;
  private final DevicesById<Gpu> gpus;

  /**
   * Sets the GPUs of {@code node}.
   *
   * @param shares say how many commands may wait
   */
  public GpuControlService(Node node, Shares shares, SettingRights rights) {
    this.node = node;
    this.shares = shares;
    this.rights = rights;
    this.gpus = DevicesById.gpus(node);
  }

  /** Registers the endpoints. */
  public void addTo(Routes routes) {
    SettingCommand.ALL.forEach(command -> add(routes, command));
    routes.post(GPU_CONTROL, "/gpu/release", this::release);
  }

  /** Waits until the driver is let go of, which takes no device's turn. */
  private void release(ServerRequest request, ServerResponse response, Requester requester) {
    Query.of(request, Set.of());
    requester.requireAllGpus(GPU_CONTROL, "let go of the driver");
    long startNanos = System.nanoTime();
    Node.Release release = node.releaseGpus();
    boolean done = release == Node.Release.DONE;
    log(
        done ? System.Logger.Level.INFO : System.Logger.Level.WARNING,
        () -> "release of the GPUs' driver by " + requester.name(),
        done ? "done" : "failed, " + release,
        startNanos);
    switch (release) {
      case DONE -> response.send();
      case LEASED ->
          throw new HttpException(
              "leases hold settings of GPUs, which the driver might forget; GET /leases shows them",
              Status.CONFLICT_409,
              true);
      case RECORDED ->
          throw new HttpException(
              "the power history of GPUs is kept (--history), which would open the driver again at"
                  + " once",
              Status.CONFLICT_409,
              true);
      case MEASURED ->
          throw new HttpException(
              "an energy window measures GPUs, which would open the driver again at once; end it"
                  + " first: GET /energy/windows shows them, all of them to root",
              Status.CONFLICT_409,
              true);
      case STREAMED ->
          throw new HttpException(
              "power of GPUs is being streamed, which would open the driver again at once; end the"
                  + " streams first",
              Status.CONFLICT_409,
              true);
      case BUSY ->
          throw TryLater.refusal(
              Status.SERVICE_UNAVAILABLE_503,
              "a driver call does not end, so that the driver cannot be let go of; try again later",
              Answer.PATIENCE);
    }
  }

  private void add(Routes routes, SettingCommand command) {
    Set<String> known = new HashSet<>(command.parameters());
    known.addAll(List.of(GPU_IDS, BLOCK));
    routes.post(
        GPU_CONTROL,
        "/gpu/" + command.name(),
        (request, response, requester) -> {
          long startNanos = System.nanoTime();
          // Everything is read before anything is done: a refused request touches no device.
          Query query = Query.of(request, known);
          Collection<Integer> ids = query.ids(GPU_IDS, gpus.ids());
          requester.audited().ifPresent(audited -> audited.about(ids));
          boolean block = query.bool(BLOCK);
          List<SettingCommand.Write> writes = command.writes().apply(query);
          requireRight(requester, ids, writes);
          String user = requester.name();
          SettingAccess access =
              rights.of(request, requester, node.leases(), ids, SettingCommand.keys(writes));
          if (access instanceof Lease lease) {
            requester.audited().ifPresent(audited -> audited.about(lease));
          }
          CheckedWrites action = new CheckedWrites(requester, access, node.leases(), writes);
          Supplier<String> what =
              () ->
                  "%s %s on GPUs %s by %s"
                      .formatted(command.name(), query.values(command.parameters()), ids, user);
          QueuePlaces.Held places = shares.enterQueues(requester.connection(), ids);
          if (block) {
            runAll(request, requester, ids, action, places, what, startNanos);
            response.send();
            log(System.Logger.Level.INFO, what, "done", startNanos);
          } else {
            requester.audited().ifPresent(AuditedRequest::isQueued);
            FanOut.all(ids, id -> queue(id, action, places, what, startNanos)).requireSuccess();
            response.send();
          }
        });
  }

  private void requireRight(
      Requester requester, Collection<Integer> ids, List<SettingCommand.Write> writes) {
    if (requester.rights().isUnlimited()) {
      return;
    }
    List<GpuInfo> infos = gpus.gpuInfos(ids);
    for (SettingCommand.Write write : writes) {
      write
          .value()
          .ifPresentOrElse(
              value -> requester.requireValue(infos, value),
              () -> requester.requireSettings(infos, Set.of(write.key())));
    }
  }

  private void runAll(
      ServerRequest request,
      Requester requester,
      Collection<Integer> ids,
      CheckedWrites action,
      QueuePlaces.Held places,
      Supplier<String> what,
      long startNanos) {
    // Side by side: the calling thread can work for one of them only, while it waits for the rest.
    int last = Collections.max(ids);
    FanOut<Boolean> all =
        new FanOut<>(
            ids,
            id -> {
              DeviceWorker<Gpu> gpu = gpus.get(id);
              return in(
                  places,
                  id,
                  id == last ? () -> gpu.runOrSubmit(action) : () -> gpu.submit(action));
            });
    all.answer(request, requester, outcome -> requireSuccess(outcome, what, startNanos));
  }

  /** An empty body, and a line in the log where there is none. */
  private static byte[] requireSuccess(
      FanOut.Outcome<Boolean> outcome, Supplier<String> what, long startNanos) {
    try {
      outcome.requireSuccess();
      return new byte[0];
    } catch (DeviceErrors e) {
      log(System.Logger.Level.WARNING, what, "failed, " + e.getMessage(), startNanos);
      throw e;
    }
  }

  private static void log(
      System.Logger.Level level, Supplier<String> what, String result, long startNanos) {
    if (LOG.isLoggable(level)) {
      long micros = (System.nanoTime() - startNanos) / 1000;
      LOG.log(level, what.get() + ": " + result + " after " + micros + " us");
    }
  }

  /** Starts a command that has a place, which it leaves when it is over. */
  private static CompletableFuture<Boolean> in(
      QueuePlaces.Held places, int id, Supplier<CompletableFuture<Boolean>> start) {
    try {
      CompletableFuture<Boolean> running = start.get();
      running.whenComplete((done, failure) -> places.leave(id));
      return running;
    } catch (RuntimeException e) {
      places.leave(id);
      throw e;
    }
  }

  /** Done as soon as the command is queued; what becomes of it is only logged. */
  private CompletableFuture<Boolean> queue(
      int id,
      CheckedWrites action,
      QueuePlaces.Held places,
      Supplier<String> what,
      long startNanos) {
    in(places, id, () -> gpus.get(id).submit(action))
        .whenComplete(
            (done, failure) -> {
              if (failure == null) {
                log(System.Logger.Level.INFO, what, "done on GPU " + id, startNanos);
              } else {
                String result = "failed on GPU " + id + ", " + failure.getMessage();
                log(System.Logger.Level.WARNING, what, result, startNanos);
              }
            });
    return CompletableFuture.completedFuture(true);
  }
}
