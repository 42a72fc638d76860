package dev.zeusd.server.stream;

import dev.zeusd.core.settings.Lease;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.Limits;
import dev.zeusd.server.auth.Rights;
import dev.zeusd.server.connection.Shares;
import dev.zeusd.server.connection.TryLater;
import dev.zeusd.server.http.Requester;
import io.helidon.http.HttpException;
import io.helidon.http.Status;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;

/**
 * Streams that keep leases: one is kept for as long as its client stays. They have a thread of
 * their own, since a lease may wait for the disk.
 */
public final class LeaseStreams implements AutoCloseable {
  private final Shares shares;
  private final int most;
  private final AtomicInteger open = new AtomicInteger();
  private final StreamLoop loop = new StreamLoop("lease streams");

  /** At most {@code most} at a time. */
  public LeaseStreams(Shares shares, int most) {
    this.shares = shares;
    this.most = most;
  }

  /**
   * Answers a request by keeping {@code lease}; returns, by an exception, when that is over.
   *
   * @param isAllowed what that needs, besides the group
   * @throws HttpException 503 if there are too many streams
   */
  public void keep(
      ServerRequest request,
      ServerResponse response,
      Requester requester,
      Lease lease,
      Predicate<Rights> isAllowed) {
    try {
      if (open.incrementAndGet() > most) {
        throw TryLater.refusal(
            Status.SERVICE_UNAVAILABLE_503,
            "there are "
                + most
                + " streams that keep leases, and no more at a time; use POST /lease/renew",
            Limits.LATER);
      }
      SseStream.serve(
          shares,
          request,
          response,
          requester,
          rights -> rights.refusalOf(ApiGroup.GPU_CONTROL).isEmpty() && isAllowed.test(rights),
          stream -> {
            requester.auditAnswer(Status.OK_200);
            keep(lease, stream);
          });
    } finally {
      open.decrementAndGet();
    }
  }

  private void keep(Lease lease, SseStream stream) {
    Lease.Keeper keeper = lease.keep();
    try {
      loop.join(lease, stream, () -> new LeaseGroup(lease, stream));
      stream.sleepUntilEnded();
    } finally {
      keeper.close();
    }
  }

  /** Ends all streams; the leases go on for their TTL. */
  @Override
  public void close() {
    loop.close();
  }
}
