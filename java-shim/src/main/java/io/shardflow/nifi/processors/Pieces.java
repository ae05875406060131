/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.processors;

import io.shardflow.nifi.bridge.Piece;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.nifi.flowfile.FlowFile;
import org.apache.nifi.processor.ProcessSession;

/** Takes rows out of a FlowFile that go another way than the rest. */
final class Pieces {

    private static final String RECORD_COUNT = "record.count";

    private Pieces() {}

    /** A new FlowFile with these rows. It has the attributes of the whole, and those that say what it is. */
    static FlowFile extract(final ProcessSession session, final FlowFile whole, final List<Piece> pieces)
            throws IOException {
        FlowFile part = session.putAllAttributes(session.create(), whole.getAttributes());
        try (InputStream content = session.read(whole)) {
            part = session.write(part, out -> copy(content, out, sorted(pieces), true));
        }
        return session.putAllAttributes(part, attributes(pieces));
    }

    /** The FlowFile without these rows. */
    static FlowFile without(final ProcessSession session, final FlowFile whole, final List<Piece> pieces) {
        final FlowFile rest = session.write(whole, (in, out) -> {
            copy(in, out, sorted(pieces), false);
            in.transferTo(out);
        });
        final long left = records(whole) - rows(pieces);
        return left < 0 ? rest : session.putAttribute(rest, RECORD_COUNT, Long.toString(left));
    }

    /** What the FlowFile says of itself; -1 when that is no number. */
    private static long records(final FlowFile flowFile) {
        try {
            return Long.parseLong(flowFile.getAttribute(RECORD_COUNT));
        } catch (final NumberFormatException e) {
            return -1;
        }
    }

    private static long rows(final List<Piece> pieces) {
        return pieces.stream().mapToLong(Piece::rows).sum();
    }

    private static Map<String, String> attributes(final List<Piece> pieces) {
        final List<Piece> sorted = sorted(pieces);
        final Map<String, String> attributes = new HashMap<>();
        attributes.put(RECORD_COUNT, Long.toString(rows(pieces)));
        attributes.put(Attributes.MESSAGE, sorted.getFirst().reason());
        final String first = sorted.getFirst().firstToken();
        final String last = sorted.getLast().lastToken();
        if (!first.isEmpty() && !last.isEmpty()) {
            attributes.put(Attributes.OFFSET_START, first);
            attributes.put(Attributes.OFFSET_END, last);
        }
        return attributes;
    }

    private static List<Piece> sorted(final List<Piece> pieces) {
        return pieces.stream().sorted(Comparator.comparingLong(Piece::offset)).toList();
    }

    /** Walks to the end of the last piece and copies either the pieces or what is between them. */
    private static void copy(
            final InputStream in, final OutputStream out, final List<Piece> pieces, final boolean inside)
            throws IOException {
        long position = 0;
        for (final Piece piece : pieces) {
            final long gap = piece.offset() - position;
            move(in, inside ? OutputStream.nullOutputStream() : out, gap);
            move(in, inside ? out : OutputStream.nullOutputStream(), piece.length());
            position = piece.offset() + piece.length();
        }
    }

    /** The last line may lack its line feed, so the end of the content is no error. */
    private static void move(final InputStream in, final OutputStream out, final long bytes) throws IOException {
        final byte[] buffer = new byte[Math.clamp(bytes, 1, Buffers.BYTES)];
        long left = bytes;
        while (left > 0) {
            final int read = in.read(buffer, 0, (int) Math.min(left, buffer.length));
            if (read < 0) {
                return;
            }
            out.write(buffer, 0, read);
            left -= read;
        }
    }
}
