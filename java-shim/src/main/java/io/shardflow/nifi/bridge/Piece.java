/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
 * the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software distributed under the License is distributed on
 * an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the
 * specific language governing permissions and limitations under the License.
 */
package io.shardflow.nifi.bridge;

import java.util.ArrayList;
import java.util.List;

/**
 * Rows of a FlowFile that take another way than the rest.
 *
 * @param way where they go
 * @param offset first byte in the content
 * @param length bytes, the last line feed included
 * @param rows number of rows
 * @param firstToken offset token that the first row has at least; empty when not known
 * @param lastToken offset token that the last row has at most; empty when not known
 * @param reason what to tell the user
 */
public record Piece(Way way, long offset, long length, long rows, String firstToken, String lastToken, String reason) {

    private static final int FIELDS = 7;

    /** Where rows go. */
    public enum Way {
        /** They fit into no request. */
        FAILED,
        /** The destination rejected some of them. */
        INVALID
    }

    static List<Piece> of(final String[] fields) {
        final List<Piece> pieces = new ArrayList<>();
        for (int i = 0; fields != null && i + FIELDS <= fields.length; i += FIELDS) {
            pieces.add(new Piece(
                    Way.valueOf(fields[i]),
                    Long.parseLong(fields[i + 1]),
                    Long.parseLong(fields[i + 2]),
                    Long.parseLong(fields[i + 3]),
                    fields[i + 4],
                    fields[i + 5],
                    fields[i + 6]));
        }
        return pieces;
    }
}
