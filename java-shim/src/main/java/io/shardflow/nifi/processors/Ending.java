/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.Outcome;
import io.shardflow.nifi.bridge.Piece;
import io.shardflow.nifi.bridge.SnowpipeSink;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.apache.nifi.flowfile.FlowFile;
import org.apache.nifi.logging.ComponentLog;
import org.apache.nifi.processor.ProcessSession;

/** How a FlowFile leaves: the relationship, attributes, provenance and counters that the core's outcome stands for. */
final class Ending {

    private final SnowpipeSink sink;
    private final ComponentLog log;

    Ending(final SnowpipeSink sink, final ComponentLog log) {
        this.sink = sink;
        this.log = log;
    }

    /** Ends the upload's session; what fails here is thrown, and the FlowFile is to be given back. */
    void of(final Upload upload, final Outcome outcome) throws IOException {
        final ProcessSession session = upload.session();
        final List<Piece> pieces = pieces(upload, outcome);
        takeOutOversized(session, upload.flowFile(), pieces);
        final FlowFile flowFile = annotate(session, upload.flowFile(), outcome.rowErrors(), reason(outcome));
        final boolean stored = outcome.stateOf() != Outcome.State.FAILED;
        if (stored && outcome.rowsSent() > 0) {
            session.getProvenanceReporter().send(flowFile, outcome.transitUri(), upload.elapsedMillis());
        }
        switch (outcome.stateOf()) {
            case COMMITTED ->
                session.transfer(withoutPieces(session, flowFile, pieces), PublishSnowpipeStreaming.SUCCESS);
            case INVALID -> {
                // The bulletin is the core's, one for many FlowFiles of a channel.
                log.info("{} goes to invalid: {}", flowFile, outcome.message());
                endInvalid(session, flowFile, pieces);
            }
            default -> {
                log.error("{} cannot be published: {}", flowFile, outcome.message());
                session.transfer(flowFile, PublishSnowpipeStreaming.FAILURE);
            }
        }
        count(session, upload, outcome, stored);
        // If this fails the FlowFile is in its queue again, and what it holds is known to be stored.
        session.commitAsync();
    }

    /** Rows that take another way; none when all of the FlowFile fails, or is not known to be stored. */
    private List<Piece> pieces(final Upload upload, final Outcome outcome) {
        return switch (outcome.stateOf()) {
            case COMMITTED, INVALID -> sink.pieces(upload.id());
            default -> List.of();
        };
    }

    /**
     * Rows that fit into no request leave together with their FlowFile: should it be begun again before, they are found in it
     * again.
     */
    private void takeOutOversized(final ProcessSession session, final FlowFile flowFile, final List<Piece> pieces)
            throws IOException {
        for (final Piece piece : of(pieces, Piece.Way.FAILED)) {
            log.error("{}: {}", flowFile, piece.reason());
            session.transfer(Pieces.extract(session, flowFile, List.of(piece)), PublishSnowpipeStreaming.FAILURE);
        }
    }

    private static List<Piece> of(final List<Piece> pieces, final Piece.Way way) {
        return pieces.stream().filter(piece -> piece.way() == way).toList();
    }

    /** With the rows known that may be meant, only they are invalid. */
    private static void endInvalid(final ProcessSession session, final FlowFile flowFile, final List<Piece> pieces)
            throws IOException {
        final List<Piece> rejected = of(pieces, Piece.Way.INVALID);
        if (rejected.isEmpty()) {
            session.transfer(withoutPieces(session, flowFile, pieces), PublishSnowpipeStreaming.INVALID);
            return;
        }
        session.transfer(Pieces.extract(session, flowFile, rejected), PublishSnowpipeStreaming.INVALID);
        final FlowFile rest = session.removeAttribute(annotate(session, flowFile, 0, null), Attributes.MESSAGE);
        session.transfer(withoutPieces(session, rest, pieces), PublishSnowpipeStreaming.SUCCESS);
    }

    private static FlowFile withoutPieces(
            final ProcessSession session, final FlowFile flowFile, final List<Piece> pieces) {
        return pieces.isEmpty() ? flowFile : Pieces.without(session, flowFile, pieces);
    }

    private static String reason(final Outcome outcome) {
        return outcome.stateOf() == Outcome.State.COMMITTED ? null : outcome.message();
    }

    /** The FlowFile with the number of its rejected rows and, unless it is null, the reason. */
    static FlowFile annotate(
            final ProcessSession session, final FlowFile flowFile, final long rowErrors, final String reason) {
        final String errors = Long.toString(rowErrors);
        return session.putAllAttributes(
                flowFile,
                reason == null
                        ? Map.of(Attributes.ROW_ERRORS, errors)
                        : Map.of(Attributes.ROW_ERRORS, errors, Attributes.MESSAGE, reason));
    }

    private static void count(
            final ProcessSession session, final Upload upload, final Outcome outcome, final boolean stored) {
        session.adjustCounter("Processing Duration", upload.elapsedMillis(), false);
        session.adjustCounter("Offset Token Polling Duration", upload.inFlightMillis(), false);
        session.adjustCounter("Rows Skipped", outcome.rowsSkipped(), false);
        if (stored && outcome.rowsSent() > 0) {
            session.adjustCounter("Rows Sent", outcome.rowsSent(), false);
            session.adjustCounter("Bytes Sent", upload.flowFile().getSize(), false);
        } else if (outcome.stateOf() == Outcome.State.COMMITTED) {
            session.adjustCounter("FlowFiles Skipped", 1, false);
        }
    }
}
